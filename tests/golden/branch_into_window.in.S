# A branch enters the only window there could be at its second instruction, and no padding is in
# reach: the syscall is poisoned, and nothing else changes.
#include "golden.h"
        .text
        function _start
        mov     %rdi, %rsi
.Lagain:
        mov     %edx, %eax
        syscall
        jne     .Lagain
        ret
        end     _start
