# site: D: the site lies in a split-off part of a function
#include "golden.h"
        .text
        jmp     work
work:   mov     %rdi, %rsi
        mov     $39, %al
        poison
after:  ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
