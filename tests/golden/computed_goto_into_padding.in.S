# A function that takes the address of one of its own instructions and jumps through a register may
# enter the padding in front of a loop, whose label may stand before it: no springboard stands there.
#include "golden.h"
        .text
        function _start
        lea     .Lbase(%rip), %rdx
        lea     (%rdx, %rdi, 4), %rax
        jmp     *%rax
.Lbase: push    $39
        pop     %rax
        syscall
        ret
        .p2align 4
.Lloop: dec     %rdi
        jne     .Lloop
        ret
        end     _start
