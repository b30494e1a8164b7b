# A function whose list of exception landing pads cannot be read may be entered by the unwinder
# anywhere: no window in it holds more than one instruction before its syscall.
#include "golden.h"
        .text
        function _start
        .cfi_startproc
        .cfi_lsda 0x1b, .Llsda
        mov     %rdi, %rsi
        mov     $39, %al
        syscall
        ret
        .cfi_endproc
        end     _start

        .section .gcc_except_table, "a"
        .p2align 2
.Llsda: .long   0
