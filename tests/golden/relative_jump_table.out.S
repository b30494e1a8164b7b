# site: D: a jump table or landing pad leads into the window
#include "golden.h"
        .text
        lea     table(%rip), %rdx
        movslq  (%rdx, %rdi, 4), %rax
        add     %rdx, %rax
        jmp     *%rax
        mov     %rdi, %rsi
        mov     $39, %al
        poison
after:  ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
