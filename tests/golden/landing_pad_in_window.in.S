# The unwinder enters the window's second instruction: a landing pad lies there.
#include "golden.h"
        .text
        function _start
        .cfi_startproc
        .cfi_lsda 0x1b, .Llsda
        mov     %rdi, %rsi
.Lpad:  mov     $39, %al
        syscall
.Lcall: call    *%rcx
        ret
        .cfi_endproc
        end     _start

        landing_pad _start, .Lcall, .Lpad
