# Padding inside a function is dead where the instruction before it cannot fall through and it runs
# up to an aligned label.
#include "golden.h"
        .text
        function _start
        push    $39
        pop     %rax
        syscall
        jmp     .Ldone
        .p2align 4, 0xcc
.Ldone: ret
        end     _start
