# site: B: springboard in dead padding within reach
#include "golden.h"
        .text
        push    $39
        pop     %rax
        jmp     board
after:  ret
board:  jmp     stub
        .byte   0, 0, 0, 0, 0   # what is left of the one long nop

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
