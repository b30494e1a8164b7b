#include "golden.h"
        .text
        mov     $0x050f, %eax
        movabs  $0x11050f2233445566, %rcx
        lea     0x050f(%rip), %rdx
        ret
