# site: D: an instruction of the window cannot run elsewhere
#include "golden.h"
        .text
        push    $39
        pop     %rax
        poison
after:  call    work
        .p2align 5, 0x90
work:   ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
