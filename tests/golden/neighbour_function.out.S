# site: D: an instruction of the window cannot run elsewhere
#include "golden.h"
        .text
        push    $39
        pop     %rax
        poison
after:  mov     %rax, %rdi
        ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
