# A call may return: nops behind it are no padding.
#include "golden.h"
        .text
        function _start
        push    $39
        pop     %rax
        syscall
        call    work
        .p2align 5, 0x90
        end     _start
        function work
        ret
        end     work
