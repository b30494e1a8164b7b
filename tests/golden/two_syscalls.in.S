# Two sites next to each other: each takes its own bytes, and neither window holds the other's
# syscall.
#include "golden.h"
        .text
        function _start
        mov     $39, %eax
        syscall
        syscall
        mov     %rax, %rdi
        ret
        end     _start
