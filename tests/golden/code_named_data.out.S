# uncertain: 1
# exit: 3
#include "golden.h"
        .text
        ret
        mov     $39, %eax
        syscall
        ret
