# A symbol inside the window may be where somebody jumps to: the window is refused.
#include "golden.h"
        .text
        function _start
        mov     %rdi, %rsi
        .globl  inner
inner:  mov     $39, %al
        syscall
        ret
        end     _start
