#include "golden.h"
        .text
        ret
        mov     $39, %eax
        syscall
        ret
