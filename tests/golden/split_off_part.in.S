# A part that the compiler split off is entered by branches and tables of its other half. The scans
# look at the whole file, so it is judged as any other code.
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
