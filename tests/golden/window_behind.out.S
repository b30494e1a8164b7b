# site: C: the syscall and instructions behind it, none entered
#include "golden.h"
        .text
        push    $39
        pop     %rax
        jmp     stub
after = . - 3
back:   ret

        trampoline
stub:   core    after
        mov     %rax, %rdi
        jmp     back
        end_trampoline
