# site: A: the instruction before the syscall is 5 bytes or longer and falls through
#include "golden.h"
        .text
        jmp     stub
        poison
after:  ret

        trampoline
stub:   mov     $39, %eax
enter:  lea     -0x80(%rsp), %rsp
        lea     resume(%rip), %rcx
        lea     enter(%rip), %r11
        jmp     *slot(%rip)
resume: lea     after(%rip), %rcx
        jmp     after
        end_trampoline
