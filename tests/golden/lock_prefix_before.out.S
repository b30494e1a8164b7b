# site: B: springboard in dead padding within reach
#include "golden.h"
        .text
        je      one + 1
one:    lock
        cmpxchg %ecx, 0x10(%rdi)
        jmp     board
after:  ret
board:  jmp     stub
        .p2align 4, 0xcc

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
