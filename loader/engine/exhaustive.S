// Arming Syscall User Dispatch: sysload's own code is the one allowed range, so every call of anybody
// else's raises SIGSYS, and sysload issues those of the program's itself (hook_entry.S).
#include "loader/abi.h"
#include "loader/label.inc"

        .section .note.GNU-stack, "", @progbits
        .text

// Arms the calling thread. Without a selector all calls from outside of the range are caught.
//
//   in       nothing
//   out      rax = the kernel's answer
//   clobbers rcx, rdx, rsi, rdi, r8, r10, r11
        .globl  sysload_arm
        .hidden sysload_arm
        .type   sysload_arm, @function
        .p2align 4
sysload_arm:
        movl    $SYSLOAD_PR_SET_SYSCALL_USER_DISPATCH, %edi
        movl    $SYSLOAD_PR_SYS_DISPATCH_ON, %esi
        leaq    __ehdr_start(%rip), %rdx
        leaq    etext(%rip), %r10
        subq    %rdx, %r10
        xorl    %r8d, %r8d
        movl    $SYSLOAD_NR_PRCTL, %eax
        syscall
        ret
        .size   sysload_arm, . - sysload_arm

// An i386 call that was caught, which no hook knows by its number. Its registers and the stack are the
// program's: `int $0x80` changes none but eax, so the way back is found by gs. struck.cc knows the places.
        LABEL   sysload_i386_call
        int     $0x80
        jmp     *%gs:SYSLOAD_BLOCK_I386_RETURN
        LABEL   sysload_i386_end
        .hidden etext
        .hidden __ehdr_start
