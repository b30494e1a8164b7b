# The symbol says data, but the unwind table knows a function there, whose flow leads to the syscall.
# One of them is wrong: the syscall is left alone and reported.
#include "golden.h"
        .text
        function _start
        ret
        end     _start
        .globl  wrapper
        .type   wrapper, @object
wrapper:
        .cfi_startproc
        mov     $39, %eax
        syscall
        ret
        .cfi_endproc
        .size   wrapper, . - wrapper
