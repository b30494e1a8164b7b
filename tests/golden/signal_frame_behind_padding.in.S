# Unwinders look a signal frame up one byte before its start. That byte stays as it was: of six
# bytes of padding five are taken, and the last is not among them.
#include "golden.h"
        .text
        function _start
        .cfi_startproc
        mov     %rsp, %rdi
        push    $39
        pop     %rax
        syscall
        jmp     .
        .cfi_endproc
        end     _start
        .p2align 4, 0x90
        .globl  restorer
        .type   restorer, @function
        .cfi_startproc
        .cfi_signal_frame
restorer:
        mov     $15, %rax
        syscall
        .cfi_endproc
        end     restorer
