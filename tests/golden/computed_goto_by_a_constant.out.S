# site: D: the function has an indirect jump whose targets are not known
#include "golden.h"
        .text
        movslq  table(,%rdi,4), %rax
        add     $base, %rax
        jmp     *%rax
base:   mov     %rdi, %rsi
        mov     $39, %al
        poison
after:  ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
