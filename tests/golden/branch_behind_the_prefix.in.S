# A syscall has a prefix, and a branch leads behind it. A jump in its place would be entered in the
# middle, and so would poison: it stays native, and is reported, although padding is in reach.
#include "golden.h"
        .text
        function _start
        jne     1f
        .byte   0x66
1:      syscall
        jmp     2f
        .p2align 4, 0xcc
2:      ret
        end     _start
