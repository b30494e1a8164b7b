# site: D: an instruction of the window cannot run elsewhere
#include "golden.h"
        .text
        endbr64
        poison
after:  ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
