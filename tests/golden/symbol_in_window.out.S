# site: D: a symbol or function start lies in the window
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
