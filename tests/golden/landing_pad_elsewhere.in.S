# A function with landing pads is like any other where none of them lies in the window.
#include "golden.h"
        .text
        function _start
        .cfi_startproc
        .cfi_lsda 0x1b, .Llsda
        mov     %rdi, %rsi
        mov     $39, %al
        syscall
.Lcall: call    *%rcx
.Lpad:  ret
        .cfi_endproc
        end     _start

        landing_pad _start, .Lcall, .Lpad
