# site: B: springboard in dead padding within reach
# site: A: the instruction before the syscall is 5 bytes or longer and falls through
#include "golden.h"
        .text
        mov     %rsp, %rdi
        push    $39
        pop     %rax
        jmp     board
after:  jmp     .
board:  jmp     stub
        .byte   0                       # the nop's last byte
        jmp     second
        .byte   0xcc, 0xcc
        poison
after_second:

        trampoline
stub:   core    after
        jmp     after
second: mov     $15, %rax
        core    after_second
        jmp     after_second
        end_trampoline
