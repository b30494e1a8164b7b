# site: D: a branch may go into the window
#include "golden.h"
        .text
        mov     %rdi, %rsi
again:  mov     %edx, %eax
        poison
after:  jne     again
        ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
