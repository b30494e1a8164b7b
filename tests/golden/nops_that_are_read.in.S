# An instruction reads eight bytes behind the return: they are nops and a table, not padding, and hold no
# springboard. The padding behind the next function does.
#include "golden.h"
        .text
        function _start
        push    $39
        pop     %rax
        syscall
        ret
        end     _start
        function get
        mov     .Ltable(%rip), %rax
        ret
        .p2align 3, 0x90
.Ltable: .byte  0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00
        end     get
        function next
        ret
        end     next
        .p2align 4, 0xcc
        function last
        ret
        end     last
