# A relocatable object is refused: its addresses are not known before it is linked.
# link: -r
#include "golden.h"
        .text
        function _start
        mov     $39, %eax
        syscall
        ret
        end     _start
