# An instruction reads the syscall's own bytes as data: no tier leaves them as they are, so it stays
# native, and is told.
#include "golden.h"
        .text
        function _start
        mov     $39, %eax
        syscall
        movzwl  .Lcall(%rip), %esi
        mov     $39, %eax
.Lcall: syscall
        ret
        end     _start
