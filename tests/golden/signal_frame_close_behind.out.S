# site: D: an instruction of the window cannot run elsewhere
# site: A: the instruction before the syscall is 5 bytes or longer and falls through
#include "golden.h"
        .text
        add     $8, %rdi
        push    $39
        pop     %rax
        poison
after:  jmp     .
        .p2align 4, 0x90
        jmp     second
        .byte   0xcc, 0xcc
        poison
after_second:

        trampoline
stub:   core    after
        jmp     after
second: mov     $15, %rax
        core    after_second
        jmp     after_second
        end_trampoline
