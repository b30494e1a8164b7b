# site: A: the instruction before the syscall is 5 bytes or longer and falls through
# site: C: the syscall and instructions behind it, none entered
#include "golden.h"
        .text
        jmp     first
        poison
second_site:
        jmp     second
after_second = . - 3
back:   ret

        trampoline
first:  mov     $39, %eax
        core    second_site
        jmp     second_site
second:
        core    after_second
        mov     %rax, %rdi
        jmp     back
        end_trampoline
