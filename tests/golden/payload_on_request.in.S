# --force rewrites a file with a payload all the same.
# append: payload
# options: --force
#include "golden.h"
        .text
        function _start
        mov     $39, %eax
        syscall
        ret
        end     _start
