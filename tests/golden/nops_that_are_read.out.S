# site: B: springboard in dead padding within reach
#include "golden.h"
        .text
        push    $39
        pop     %rax
        jmp     board
after:  ret
        mov     table(%rip), %rax
        ret
        .p2align 3, 0x90
table:  .byte   0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00
        ret
board:  jmp     stub
        int3
        int3
last:   ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
