# A function that takes the address of one of its own instructions and jumps through a register may
# compute any other from it: no window in it holds more than one instruction before its syscall.
#include "golden.h"
        .text
        function _start
        lea     .Lbase(%rip), %rdx
        lea     (%rdx, %rdi, 4), %rax
        jmp     *%rax
.Lbase: mov     %rdi, %rsi
        mov     $39, %al
        syscall
        ret
        end     _start
