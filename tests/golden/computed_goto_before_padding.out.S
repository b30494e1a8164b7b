# site: B: springboard in dead padding within reach
#include "golden.h"
        .text
        lea     base(%rip), %rdx
        lea     (%rdx, %rdi, 4), %rax
        jmp     *%rax
base:   push    $39
        pop     %rax
        jmp     board
after:  ret
board:  jmp     stub
        .p2align 4, 0xcc
next:   ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
