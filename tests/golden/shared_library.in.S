# A library's trampoline lies directly behind its last segment, in reach of everything.
# link: -shared
#include "golden.h"
        .text
        function work
        mov     $39, %eax
        syscall
        ret
        end     work
        .bss
        .zero   0x5000
