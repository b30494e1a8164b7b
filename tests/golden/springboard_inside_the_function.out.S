# site: B: springboard in dead padding within reach
#include "golden.h"
        .text
        push    $39
        pop     %rax
        jmp     board
after:  jmp     done
board:  jmp     stub
        .p2align 4, 0xcc
done:   ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
