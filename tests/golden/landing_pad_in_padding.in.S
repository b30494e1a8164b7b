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

        .section .gcc_except_table, "a"
.Llsda: .byte   0xff                    # pads count from the function
        .byte   0xff                    # no types
        .byte   0x01                    # call sites in uleb128
        .uleb128 .Lend - .Lbegin
.Lbegin:
        .uleb128 .Lcall - _start
        .uleb128 2
        .uleb128 .Lpad - _start
        .uleb128 0
.Lend:
