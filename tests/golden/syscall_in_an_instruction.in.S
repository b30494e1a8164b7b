# A branch leads to a syscall that the constant of another instruction holds, and flow to that
# instruction as well. Whatever a patch did, one of them would break: it is left alone and reported.
#include "golden.h"
        .text
        function _start
        cmp     %eax, %eax
        je      1f
        .byte   0xb8                    # mov $..., %eax
1:      syscall
        nop
        nop
        ret
        end     _start
