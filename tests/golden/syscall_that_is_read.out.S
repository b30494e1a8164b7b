# site: A: the instruction before the syscall is 5 bytes or longer and falls through
# site: N: an instruction reads or writes these bytes as data
# exit: 3
#include "golden.h"
        .text
        jmp     stub
        poison
after:  movzwl  call(%rip), %esi
        mov     $39, %eax
call:   syscall
        ret

        trampoline
stub:   mov     $39, %eax
        core    after
        jmp     after
        end_trampoline
