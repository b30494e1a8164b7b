# site: A: the instruction before the syscall is 5 bytes or longer and falls through
#include "golden.h"
        .text
        jmp     stub
        int3
        poison
after:  ret

        trampoline
stub:   mov     number(%rip), %eax
        core    after
        jmp     after
        end_trampoline
