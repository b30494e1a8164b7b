# site: B: springboard in dead padding within reach
#include "golden.h"
        .text
        ret
board:  jmp     stub
        .p2align 4, 0xcc
        push    $39
        pop     %rax
        jmp     board
after:  ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
