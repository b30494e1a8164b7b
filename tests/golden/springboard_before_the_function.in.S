# The dead padding may also lie in front of the function, behind the one before it.
#include "golden.h"
        .text
        function before
        ret
        end     before
        .p2align 4, 0xcc
        function _start
        push    $39
        pop     %rax
        syscall
        ret
        end     _start
