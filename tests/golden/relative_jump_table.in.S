# A table of distances from the table itself, as compilers write it for position-independent code,
# leads into the window: no address of the window stands anywhere, and the scan finds it all the same.
#include "golden.h"
        .text
        function _start
        lea     table(%rip), %rcx
        movslq  (%rcx, %rdi, 4), %rax
        add     %rcx, %rax
        jmp     *%rax
.Lone:  mov     %rdi, %rsi
.Ltwo:  mov     $39, %al
        syscall
        ret
        end     _start

        .section .rodata
        .p2align 2
        .globl  table
table:  .long   .Lone - table, .Ltwo - table
