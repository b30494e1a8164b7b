# A table in a library names its entries by a symbol that others may define, and a distance from it:
# what the loader writes is the sum of both. One of them leads into the window.
# link: -shared
#include "golden.h"
        .text
        function work
        lea     table(%rip), %rdx
        jmp     *(%rdx, %rdi, 8)
.Lzero: mov     %rdi, %rsi
.Lone:  mov     $39, %al
        syscall
        ret
        end     work

        .section .data.rel.ro, "aw"
        .hidden table
table:  .quad   work + (.Lzero - work)
        .quad   work + (.Lone - work)
