# A branch past a lock prefix enters what a decoder calls one instruction. It is 5 bytes long, and
# yet is not covered.
#include "golden.h"
        .text
        function _start
        je      .Lone + 1
.Lone:  lock
        cmpxchg %ecx, 0x10(%rdi)
        syscall
        ret
        end     _start
        .p2align 4, 0xcc
