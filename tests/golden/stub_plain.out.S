# site: A: the instruction before the syscall is 5 bytes or longer and falls through
#include "golden.h"
        .text
        jmp     stub
        poison
after:  ret

        trampoline
stub:   mov     $39, %eax
        lea     resume(%rip), %rcx
        jmp     *slot(%rip)
resume: jmp     done
        syscall
done:   lea     after(%rip), %rcx
        jmp     after
        end_trampoline
