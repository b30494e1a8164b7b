# A jump table of whole addresses holds the one of the second instruction: it is data that points
# into the window, and the window is refused.
#include "golden.h"
        .text
        function _start
        jmp     *table(, %rdi, 8)
.Lone:  mov     %rdi, %rsi
.Ltwo:  mov     $39, %al
        syscall
        ret
        end     _start

        .section .rodata
        .globl  table
table:  .quad   .Lone, .Ltwo
