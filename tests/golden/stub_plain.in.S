# The stub of --stub=plain leaves rsp alone and sets no r11; rcx - 6 is still the indirect jump.
# options: --stub=plain
#include "golden.h"
        .text
        function _start
        mov     $39, %eax
        syscall
        ret
        end     _start
