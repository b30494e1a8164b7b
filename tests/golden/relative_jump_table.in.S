# Compilers write tables of distances from the table itself. One leads into the window of another
# function: gcc lets a switch lead into a split-off part.
#include "golden.h"
        .text
        function _start
        lea     table(%rip), %rdx
        movslq  (%rdx, %rdi, 4), %rax
        add     %rdx, %rax
        jmp     *%rax
        end     _start
        function start.cold
        mov     %rdi, %rsi
.Lcase: mov     $39, %al
        syscall
        ret
        end     start.cold

        .section .rodata
        .globl  table
        .p2align 2
table:  .long   start.cold - table
        .long   .Lcase - table
