# The code lies above 4 GiB, where an address does not fit into 32 bits: the table's second entry,
# which has all 64, leads into the window.
# link: -static -Wl,-Ttext-segment=0x200000000
#include "golden.h"
        .text
        function _start
        movabs  $table, %rdx
        jmp     *(%rdx, %rdi, 8)
.Lzero: mov     %rdi, %rsi
.Lone:  mov     $39, %al
        syscall
        ret
        end     _start

        .section .rodata
        .globl  table
table:  .quad   .Lzero
        .quad   .Lone
