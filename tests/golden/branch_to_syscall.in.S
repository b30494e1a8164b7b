# A branch goes straight to the syscall, past the instruction before it: covering that one would
# send the branch into the trap each time. Two bytes become a short jump to dead padding, and
# nothing is displaced.
#include "golden.h"
        .text
        function _start
        je      .Lcall
        mov     $39, %eax
.Lcall: syscall
        ret
        end     _start
        .p2align 4, 0xcc
