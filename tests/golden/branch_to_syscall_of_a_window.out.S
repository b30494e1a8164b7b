# site: C: instructions before the syscall, none of them entered
#include "golden.h"
        .text
        test    %edi, %edi
        je      call
        jmp     stub
call:   poison
after:  ret

        trampoline
stub:   mov     %rdi, %rsi
        mov     %edx, %eax
        core    after
        jmp     after
        end_trampoline
