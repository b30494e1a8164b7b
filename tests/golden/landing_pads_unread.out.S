# site: D: the function's exception landing pads could not be read
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
