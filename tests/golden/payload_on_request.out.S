# site: A: the instruction before the syscall is 5 bytes or longer and falls through
#include "golden.h"
        .text
        jmp     stub
        poison
after:  ret

        trampoline
stub:   mov     $39, %eax
        core    after
        jmp     after
        end_trampoline
