# As branch_to_syscall, but no padding is in reach: the jump covers the instruction before all the
# same, and the branch meets the poison, which the trap serves.
#include "golden.h"
        .text
        function _start
        test    %edi, %edi
        je      .Lcall
        mov     $39, %eax
.Lcall: syscall
        ret
        end     _start
