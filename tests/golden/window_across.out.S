# site: C: the syscall and instructions before it, none entered
#include "golden.h"
        .text
        jmp     stub
after = . - 1
        int3
        ret
back = . - 1

        trampoline
stub:   mov     $39, %al
        core    after
        mov     %eax, %ecx
        jmp     back
        end_trampoline
