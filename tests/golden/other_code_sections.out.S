# site: A: the instruction before the syscall is 5 bytes or longer and falls through
# site: A: the instruction before the syscall is 5 bytes or longer and falls through
#include "golden.h"
        .text
        ret
        jmp     first
        poison
after:  ret

        .section elsewhere, "ax", @progbits
        jmp     second
        poison
after_second:
        ret

        trampoline
first:  mov     $39, %eax
        core    after
        jmp     after
second: mov     $39, %eax
        core    after_second
        jmp     after_second
        end_trampoline
