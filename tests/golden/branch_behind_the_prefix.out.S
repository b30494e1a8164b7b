# site: N: a branch may go into the window
# exit: 3
#include "golden.h"
        .text
        jne     1f
        .byte   0x66
1:      syscall
        jmp     2f
        .p2align 4, 0xcc
2:      ret
