// What every handler of a program with hooks is set as (signals.cc).
//
//   in       as a handler: rdi = number, rsi = siginfo, rdx = ucontext, rsp = the frame
//   out      at the program's handler, with all of that unchanged; or back from the signal
//   stack    some hundred bytes of the one that the kernel has chosen. Not the hook stack: it may be in
//            use, and the kernel would believe an alternate stack free that this frame lies on.
//
// Whatever comes while this decides is put off, like during a call.
#include "loader/abi.h"
#include "loader/label.inc"
#include "loader/mask.inc"

        .section .note.GNU-stack, "", @progbits
        .text

        .p2align 4
        LABEL   sysload_signal_entry
        pushq   %rdi
        pushq   %rsi
        pushq   %rdx
        call    sysload_on_signal       // rax: the handler, or one of SYSLOAD_SIGNAL_*
        LABEL   sysload_signal_back
        cmpq    $SYSLOAD_SIGNAL_TO_PROGRAM, %rax
        jb      .Lreturn
        je      .Lto_program
        cmpl    $0, %gs:SYSLOAD_BLOCK_PENDING
        jne     .Lput_off
.Lhandle:
        movq    (%rsp), %rdx
        movq    8(%rsp), %rsi
        movq    16(%rsp), %rdi
        movq    %rax, %rcx
        leaq    24(%rsp), %rsp
        LABEL   sysload_signal_raised
        movl    $0, %eax
        jmp     *%rcx
        LABEL   sysload_signal_handled
// What was put off while this decided strikes as soon as the frame gives the program's mask back.
.Lto_program:
        movl    $0, %gs:SYSLOAD_BLOCK_PENDING
.Lreturn:
        leaq    32(%rsp), %rsp
        movl    $SYSLOAD_NR_RT_SIGRETURN, %eax
        syscall
        hlt
// Another signal came meanwhile: it strikes when the mask is the handler's again.
.Lput_off:
        movq    %rax, %rbx
        movl    $0, %gs:SYSLOAD_BLOCK_PENDING
        ASK_FOR_PROGRAMS_MASK
        syscall
        LABEL   sysload_signal_unblocked
        movq    %rbx, %rax
        jmp     .Lhandle
        LABEL   sysload_signal_end

        .section .rodata, "a"
        .p2align 3
        LABEL   sysload_every_signal
        .quad   -1
