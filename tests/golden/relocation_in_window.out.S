# site: D: a relocation applies to the window
#include "golden.h"
        .text
        movabs  $0, %rax
        poison
after:  ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
