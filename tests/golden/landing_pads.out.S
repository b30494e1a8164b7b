# site: D: the function has exception landing pads
#include "golden.h"
        .text
        mov     %rdi, %rsi
        mov     $39, %al
        poison
after:  ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
