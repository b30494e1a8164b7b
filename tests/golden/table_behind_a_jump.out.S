# site: A: the instruction before the syscall is 5 bytes or longer and falls through
# uncertain: 2
# exit: 3
#include "golden.h"
        .text
        jmp     stub
        poison
after:  ret
        .byte   0x0f, 0x05, 0x17, 0x06, 0x3c, 0x0f, 0x05, 0xd4

        trampoline
stub:   mov     $39, %eax
        core    after
        jmp     after
        end_trampoline
