# site: B: springboard in dead padding within reach
#include "golden.h"
        .text
        sub     $0x100, %rsp
        jmp     board
after:  ret
board:  jmp     stub
        .p2align 4, 0xcc

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
