# A branch leads to the syscall, the instruction before it is too short for a jump, and no padding is in
# reach: the window begins one instruction earlier, so that the jump ends before the syscall, and poison
# stands where the branch leads, which the trap serves.
#include "golden.h"
        .text
        function _start
        test    %edi, %edi
        je      .Lcall
        mov     %rdi, %rsi
        mov     %edx, %eax
.Lcall: syscall
        ret
        end     _start
