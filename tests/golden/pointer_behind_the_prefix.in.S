# A syscall has a prefix, and data holds the address behind it. Whoever goes there would enter a jump
# or poison in the middle: it stays native, and is reported, although padding is in reach.
#include "golden.h"
        .text
        function _start
        push    $39
        pop     %rax
        .byte   0xf3
.Lpair: syscall
        jmp     2f
        .p2align 4, 0xcc
2:      ret
        end     _start

        .data
        .quad   .Lpair
