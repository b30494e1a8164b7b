# site: D: a jump table or landing pad leads into the window
#include "golden.h"
        .text
        mov     %rdi, %rsi
        mov     $39, %al
        poison
after:  call    *%rcx
        ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
