# --format=litebox: the slot is the region's first 8 bytes, the stubs stand right behind, nothing
# fills the page, and no stub has a tail.
# options: --format=litebox
#include "golden.h"
        .text
        function _start
        mov     $39, %eax
        syscall
        ret
        end     _start
