# int $0x80 and sysenter are reported and left alone: only syscall is redirected.
#include "golden.h"
        .text
        function _start
        mov     $20, %eax
        int     $0x80
        mov     $20, %eax
        sysenter
        ret
        end     _start
