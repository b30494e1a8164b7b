# A displaced instruction with a RIP-relative operand runs in the stub with its displacement counted
# from there, so that it means the same address.
#include "golden.h"
        .text
        function _start
        mov     number(%rip), %eax
        syscall
        ret
        end     _start

        .data
        .globl  number
number: .long   39
