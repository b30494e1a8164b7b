# A part that the compiler split off is entered by jumps from anywhere in its other half.
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
