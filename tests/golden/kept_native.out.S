# site: A: the instruction before the syscall is 5 bytes or longer and falls through
# site: N: an instruction of the window cannot run elsewhere
# exit: 3
#include "golden.h"
        .text
        jmp     stub
        poison
after:  endbr64
        syscall
        ret

        trampoline
stub:   mov     $39, %eax
        core    after
        jmp     after
        end_trampoline
