# Where the instruction before the syscall is 5 bytes or longer and falls through, the jump to the
# stub replaces it alone, and the syscall's own bytes become poison: whoever jumps straight to the
# syscall meets the trap.
#include "golden.h"
        .text
        function _start
        mov     $39, %eax
        syscall
        mov     %eax, %edi
        ret
        end     _start
