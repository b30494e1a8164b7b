# A table of absolute addresses leads into the window: the pointer is found in the data, and nothing
# is displaced.
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
