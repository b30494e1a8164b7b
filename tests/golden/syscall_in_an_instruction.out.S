# uncertain: 1
# exit: 3
#include "golden.h"
        .text
        cmp     %eax, %eax
        je      1f
        .byte   0xb8
1:      syscall
        nop
        nop
        ret
