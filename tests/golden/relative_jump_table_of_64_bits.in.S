# In gcc's large model the distances of a jump table have 64 bits. The table is far from the code:
# the high half of an entry, read as a distance of its own, leads back to the table.
#include "golden.h"
        .text
        function _start
        lea     table(%rip), %rdx
        add     (%rdx, %rdi, 8), %rdx
        jmp     *%rdx
        mov     %rdi, %rsi
.Lcase: mov     $39, %al
        syscall
        ret
        end     _start

        .section .rodata
        .skip   0x100000
        .globl  table
        .p2align 3
table:  .quad   _start - table
        .quad   .Lcase - table
