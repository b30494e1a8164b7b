# site: B: a branch may go straight to the syscall, so nothing is displaced; springboard
#include "golden.h"
        .text
        je      call
        mov     $39, %eax
call:   jmp     board
after:  je      pad
        ret
        int3
pad:    .p2align 5, 0xcc
        ret
board:  jmp     stub
        .p2align 4, 0xcc

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
