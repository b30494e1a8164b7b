# A 32-bit file is refused.
# link: -m32 -static
#include "golden.h"
        .text
        function _start
        mov     $39, %eax
        int     $0x80
        ret
        end     _start
