# site: D: a branch may go into the window
#include "golden.h"
        .text
        je      skip + 1
skip:   test    $0x27b09066, %eax
        poison
after:  ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
