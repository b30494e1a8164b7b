# A landing pad inside the window: the unwinder enters there, so nothing is displaced.
#include "golden.h"
        .text
        function _start
        .cfi_startproc
        .cfi_lsda 0x1b, .Llsda
        mov     %rdi, %rsi
.Lpad:  mov     $39, %al
        syscall
        ret
        .cfi_endproc
        end     _start

        .section .gcc_except_table, "a"
        .p2align 2
.Llsda: .byte   0xff, 0xff, 0x01
        .byte   4
        .byte   0, 3, .Lpad - _start, 0
