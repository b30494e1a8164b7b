// Everything in sysload that is not C++: the entry, the way into the program, the callbacks, the
// signal restorer and the raw system call.
#include "loader/abi.h"
#include "loader/label.inc"
#include "loader/filter.inc"

        .section .note.GNU-stack, "", @progbits
        .text

// --- Entry ------------------------------------------------------------------------------------
//
//   in       rsp = argc, argv, envp, auxv, as execve leaves them
//   out      rsp = the same block, possibly moved; every general register 0; flags as after execve
//   clobbers nothing that a program could have had: none has run yet
//   stack    sysload runs below the block, on what will be the program's stack
//
// There is no relocation to apply: the link fails on text relocations, and a test checks that no
// other kind is left.
        .globl  _start
        .hidden _start
        .type   _start, @function
_start: xorl    %ebp, %ebp
        movq    %rsp, %rdi
        andq    $-16, %rsp
        call    sysload_main
        movq    %rax, %rsp
        // Source: linux, arch/x86/kernel/process_64.c, start_thread_common(), and
        // ELF_PLAT_INIT: all general registers 0, flags only IF (and bit 1, which is always set).
        pushq   $0x202
        popfq
        movl    $0, %eax
        movl    $0, %ebx
        movl    $0, %ecx
        movl    $0, %edx                // rdx: no function for atexit (psABI 3.4.1)
        movl    $0, %esi
        movl    $0, %edi
        movl    $0, %ebp
        movl    $0, %r8d
        movl    $0, %r9d
        movl    $0, %r10d
        movl    $0, %r11d
        movl    $0, %r12d
        movl    $0, %r13d
        movl    $0, %r14d
        movl    $0, %r15d
        jmp     *sysload_state+SYSLOAD_STATE_ENTRY(%rip)
        .size   _start, . - _start

// --- The callback of static programs ------------------------------------------------------------
//
// Passes every call through but the two by which handlers come and go (handlers.cc), and those that map
// libraries: glibc's static programs have an ld.so inside, for NSS, iconv and dlopen.
//
// As filter.inc says. It lies alone on its page, and refers to nothing but that and the slot's page,
// which lies behind it where near_callback.cc maps it once more.
        .section .text.pass, "ax", @progbits
        .balign SYSLOAD_PAGE_SIZE, 0xcc
        .globl  sysload_callback_pass
        .hidden sysload_callback_pass
        .type   sysload_callback_pass, @function
        .p2align 6
sysload_callback_pass:
        FILTER  .Ltable, .Lspecial, sysload_callback_pass_tail
.Lspecial:
        jmp     *sysload_callback_pass+SYSLOAD_PAGE_SIZE+SYSLOAD_SLOT_SPECIAL(%rip)
        LABEL   sysload_callback_pass_end
        .size   sysload_callback_pass, . - sysload_callback_pass
        STATIC_TABLE .Ltable
        .balign SYSLOAD_PAGE_SIZE, 0xcc
        .text

// --- Signals ----------------------------------------------------------------------------------
//
// Unwinders and gdb know a signal frame by these very bytes at the handler's return address:
// mov $15, %rax (48 c7 c0 0f 00 00 00); syscall.
//
//   in       rsp = the signal frame
//   out      never
        .globl  sysload_restorer
        .hidden sysload_restorer
        .type   sysload_restorer, @function
        .p2align 4
        nop                             // unwinders look at the address before a return address
sysload_restorer:
        movq    $SYSLOAD_NR_RT_SIGRETURN, %rax
        syscall
        .size   sysload_restorer, . - sysload_restorer

// --- Going on with a context ------------------------------------------------------------------
//
//   in       rdi = a KernelUcontext, below which nothing is needed any more
//   out      never
        .globl  sysload_resume
        .hidden sysload_resume
        .type   sysload_resume, @function
        .p2align 4
sysload_resume:
        movq    %rdi, %rsp
        jmp     sysload_restorer
        .size   sysload_resume, . - sysload_resume

// --- The raw system call ----------------------------------------------------------------------
//
//   in       psABI: rdi = number, rsi, rdx, rcx, r8, r9, 8(%rsp) = its six arguments
//   out      rax = the kernel's answer, -4095 to -1 an errno
//   clobbers rcx, rdx, rsi, rdi, r8 to r11, as the psABI allows
        .globl  sysload_syscall
        .hidden sysload_syscall
        .type   sysload_syscall, @function
        .p2align 4
sysload_syscall:
        movq    %rdi, %rax
        movq    %rsi, %rdi
        movq    %rdx, %rsi
        movq    %rcx, %rdx
        movq    %r8, %r10
        movq    %r9, %r8
        movq    8(%rsp), %r9
        syscall
        ret
        .size   sysload_syscall, . - sysload_syscall
