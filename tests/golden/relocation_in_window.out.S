# site: D: a relocation applies to the window, or the file's headers stand there
#include "golden.h"
        .text
        movabs  $0, %rax
        poison
after:  ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
