# The unwinder enters what looks like dead padding: the landing pad of a loop begins in front of the
# nops that align it.
#include "golden.h"
        .text
        function _start
        .cfi_startproc
        .cfi_lsda 0x1b, .Llsda
        push    $39
        pop     %rax
        syscall
.Lcall: call    *%rcx
        ret
.Lpad:  .p2align 4
.Lloop: dec     %rdi
        jne     .Lloop
        ret
        .cfi_endproc
        end     _start

        landing_pad _start, .Lcall, .Lpad
