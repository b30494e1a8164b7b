# site: D: data may hold a pointer into the window
#include "golden.h"
        .text
        lea     table(%rip), %rdx
        jmp     *(%rdx, %rdi, 8)
        mov     %rdi, %rsi
        mov     $39, %al
        poison
after:  ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
