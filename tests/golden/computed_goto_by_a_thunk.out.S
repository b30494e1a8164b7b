# site: D: the function has an indirect jump whose targets are not known
#include "golden.h"
        .text
        movslq  table(,%rdi,4), %rax
        lea     base(%rip), %rdx
        add     %rdx, %rax
        jmp     thunk
base:   mov     %rdi, %rsi
        mov     $39, %al
        poison
after:  ret
thunk:  push    %rax
        ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
