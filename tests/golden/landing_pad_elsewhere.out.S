# site: C: instructions before the syscall, none of them entered
#include "golden.h"
        .text
        jmp     stub
        poison
after:  call    *%rcx
        ret

        trampoline
stub:   mov     %rdi, %rsi
        mov     $39, %al
        core    after
        jmp     after
        end_trampoline
