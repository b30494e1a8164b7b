# site: D: excluded on request
#include "golden.h"
        .text
        mov     $39, %eax
        poison
after:  ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
