# site: D: an instruction of the window cannot run elsewhere
#include "golden.h"
        .text
        call    work
        poison
after:  ret
work:   ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
