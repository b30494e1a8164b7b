# site: A: the jump covers the instruction before; a branch to the syscall itself meets the trap
#include "golden.h"
        .text
        test    %edi, %edi
        je      call
        jmp     stub
call:   poison
after:  ret

        trampoline
stub:   mov     $39, %eax
        core    after
        jmp     after
        end_trampoline
