# site: N: data may hold a pointer into the window
# exit: 3
#include "golden.h"
        .text
        push    $39
        pop     %rax
        .byte   0xf3
        syscall
        jmp     2f
        .p2align 4, 0xcc
2:      ret
