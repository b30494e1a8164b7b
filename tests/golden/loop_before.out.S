# site: D: an instruction of the window cannot run elsewhere
#include "golden.h"
        .text
        nop
again:  jrcxz   out
        loop    again
        poison
after:
out:    ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
