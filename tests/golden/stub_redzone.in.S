# The stub of --stub=redzone, which is the default, whole.
#include "golden.h"
        .text
        function _start
        mov     $39, %eax
        syscall
        ret
        end     _start
