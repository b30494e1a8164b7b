# site: D: the function has an indirect jump whose targets are not known
#include "golden.h"
        .text
        lea     base(%rip), %rdx
        lea     (%rdx, %rdi, 4), %rax
        jmp     *%rax
base:   push    $39
        pop     %rax
        poison
after:  ret
        .p2align 4
loop:   dec     %rdi
        jne     loop
        ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
