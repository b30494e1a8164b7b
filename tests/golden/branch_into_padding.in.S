# A branch leads into the first padding, which is therefore run from there to its end: a springboard
# behind the branch's target would be run too. The second padding is nobody's.
#include "golden.h"
        .text
        function _start
        je      .Lcall
        mov     $39, %eax
.Lcall: syscall
        je      .Lpad
        ret
        end     _start
        int3
.Lpad:  .p2align 5, 0xcc
        function other
        ret
        end     other
        .p2align 4, 0xcc
