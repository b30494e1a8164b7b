# site: B: a branch may go straight to the syscall, so nothing is displaced; springboard
#include "golden.h"
        .text
        mov     $39, %al
        test    %edi, %edi
        je      call
        jmp     out
board:  jmp     stub
        .byte   0x00, 0x00, 0x00        # what is left of the nop
call:   jmp     board
after:
out:    ret

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
