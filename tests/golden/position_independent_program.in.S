# The trampoline of a position-independent program lies below its first segment, at an address just
# under 2^64 that the load bias makes whole. Jumps cross the border between the two.
# link: -static-pie
#include "golden.h"
        .text
        function _start
        mov     $39, %eax
        syscall
        ret
        end     _start
