# site: D: an instruction of the window cannot run elsewhere
#include "golden.h"
        .text
        push    $39
        pop     %rax
        poison
after:  call    *%rcx
        ret
        .p2align 4
loop:   dec     %rdi
        jne     loop
        ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
