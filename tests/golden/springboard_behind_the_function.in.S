# Nothing before the syscall can be displaced, but dead nops stand behind the function's ret: its
# two bytes become a short jump there, and the nops a long one to the stub.
#include "golden.h"
        .text
        function _start
        push    $39
        pop     %rax
        syscall
        ret
        end     _start
        .p2align 4
