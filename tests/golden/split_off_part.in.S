# A part that the compiler split off is entered from its other half, by branches and tables that the
# scans find like any others: its sites have windows too.
#include "golden.h"
        .text
        function _start
        jmp     work.cold
        end     _start
        function work.cold
        mov     %rdi, %rsi
        mov     $39, %al
        syscall
        ret
        end     work.cold
