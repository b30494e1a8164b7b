# The constant of one instruction holds others, to which a branch leads (a `test` that skips them, as
# people write it). The instruction is 5 bytes long, and yet is not covered.
#include "golden.h"
        .text
        function _start
        je      .Lskip + 1
.Lskip: test    $0x27b09066, %eax       # xchg %ax, %ax; mov $39, %al
        syscall
        ret
        end     _start
