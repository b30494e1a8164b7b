# musl's utimensat: a long nop stands before the syscall, behind a jump, and the syscall is reached
# by a branch only. Covering the nop would trap on each call; but it is dead, and where it ends at
# an aligned address it serves as springboard.
#include "golden.h"
        .text
        function _start
        mov     $39, %al
        test    %edi, %edi
        je      .Lcall
        jmp     .Lout
        .p2align 4
.Lcall: syscall
.Lout:  ret
        end     _start
