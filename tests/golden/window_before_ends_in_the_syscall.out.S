# site: C: instructions before the syscall, none of them entered
#include "golden.h"
        .text
        mov     %rdi, %rsi
        jmp     stub
        int3
after:  ret

        trampoline
stub:   add     $8, %rdi
        core    after
        jmp     after
        end_trampoline
