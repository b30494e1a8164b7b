# site: D: a jump table or landing pad leads into the window
#include "golden.h"
        .text
        lea     table(%rip), %rdx
        add     (%rdx, %rdi, 8), %rdx
        jmp     *%rdx
        mov     %rdi, %rsi
        mov     $39, %al
        poison
after:  ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
