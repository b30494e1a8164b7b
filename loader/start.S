// Everything in sysload that is not C++: the entry, the way into the program, the callbacks, the
// signal restorer and the raw system call.
#include "loader/abi.h"

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

// --- The callback that passes every call through ----------------------------------------------
//
//   in       rcx = resume; rsp 128 below the program's, or the program's (plain stubs); all other
//            registers and all flags are the program's
//   out      at the stub's native tail, which issues the call: rsp and everything but rcx and r11
//            as they came in
//   clobbers rcx (the tail sets it, as the kernel would)
//   stack    none: rsp may name no stack at all
//   place    alone on its page, and without a reference to anything outside: near_callback.cc maps it
//            once more
        .section .text.pass, "ax", @progbits
        .balign SYSLOAD_PAGE_SIZE, 0xcc
        .globl  sysload_callback_pass
        .hidden sysload_callback_pass
        .type   sysload_callback_pass, @function
        .p2align 6
sysload_callback_pass:
        leaq    SYSREWRITE_TAIL_FROM_RESUME(%rcx), %rcx
        jmp     *%rcx
        .size   sysload_callback_pass, . - sysload_callback_pass
        .balign SYSLOAD_PAGE_SIZE, 0xcc
        .text

// --- The callback that counts -----------------------------------------------------------------
//
//   in, out  as above, but leaves for the native tail in r11, and clobbers r11 too: a system call
//            overwrites both rcx and r11, so neither matters any more
//   flags    kept: only lahf, seto, sahf and instructions that touch none are used but between them
//   stack    none
//
// There are 65,536 counters of 8 bytes in a shared mapping at C, a multiple of 512 KiB. C / 8 then
// has its low 16 bits clear, so that `mov C/8, %rcx; mov %ax, %cx` makes an address out of a base
// and an index in one register, and 0(,%rcx,8) is the counter. The same register gives rax back
// after lahf and seto have used its low half.
//
//   lahf     AH = SF ZF - AF - PF - CF
//   seto     AL = OF
//   inc      the counter; spoils all of them but CF
//   add      0x7f + AL overflows for 1 and not for 0: OF is back
//   sahf     the rest is back; leaves OF alone
//
// Numbers of 65,536 and above (there are none, but a program may ask: x32's begin at 1 << 30) share
// one counter. It has to be found without a register, since rcx keeps the whole of rax: it lies in
// a page of sysload's own image, over which the shared mapping's twin is laid.
//
// exit and exit_group leave through the exit hook. Linux 5.13 and later ignore the upper half of
// rax; a program that sets it on purpose leaves unseen, without a table.
        .globl  sysload_callback_count
        .hidden sysload_callback_count
        .type   sysload_callback_count, @function
        .p2align 6
sysload_callback_count:
        leaq    SYSREWRITE_TAIL_FROM_RESUME(%rcx), %r11
        movq    %rax, %rcx
        movw    $0, %cx
        jrcxz   .Lsmall
        movq    %rax, %rcx
        lahf
        seto    %al
        lock incq sysload_shared_page(%rip)
        addb    $0x7f, %al
        sahf
        movq    %rcx, %rax
        jmp     *sysload_state+SYSLOAD_STATE_NEXT(%rip)
.Lsmall:
        leaq    -SYSLOAD_NR_EXIT(%rax), %rcx
        jrcxz   .Lexit
        leaq    -SYSLOAD_NR_EXIT_GROUP(%rax), %rcx
        jrcxz   .Lexit
        movq    sysload_state+SYSLOAD_STATE_TABLE_DIV8(%rip), %rcx
        movw    %ax, %cx
        lahf
        seto    %al
        lock incq 0(,%rcx,8)
        addb    $0x7f, %al
        sahf
        movzwl  %cx, %eax
        jmp     *sysload_state+SYSLOAD_STATE_NEXT(%rip)

// --- The exit hook ----------------------------------------------------------------------------
//
//   in       eax = exit or exit_group, edi = status
//   out      never: the call is made, and neither of the two can fail
//   stack    a static one, under a lock, with all signals blocked; the program's is not touched,
//            since a thread may have unmapped it
//
// Only the process that sysload started in prints. A forked child has a table of its own to look
// at only by accident; a vfork child shares this memory, lock and stack included, with a parent
// whose other threads run: both leave at once, having touched registers alone.
// exit_group keeps the lock, so that nobody prints twice while the process dies. exit gives it back
// when it no longer needs the stack.
        .globl  sysload_exit_hook
        .hidden sysload_exit_hook
sysload_exit_hook:
.Lexit: movl    %eax, %r12d
        movl    %edi, %r13d
        movl    $SYSLOAD_NR_RT_SIGPROCMASK, %eax
        movl    $SYSLOAD_SIG_SETMASK, %edi
        leaq    .Lall_signals(%rip), %rsi
        xorl    %edx, %edx
        movl    $SYSLOAD_SIGSET_SIZE, %r10d
        syscall
        movl    $SYSLOAD_NR_GETPID, %eax
        syscall
        cmpl    %eax, sysload_state+SYSLOAD_STATE_OWNER_PID(%rip)
        jne     .Lleave
.Llock: movl    $1, %eax
        xchgl   %eax, sysload_state+SYSLOAD_STATE_EXIT_LOCK(%rip)
        testl   %eax, %eax
        jz      .Llocked
        movl    $SYSLOAD_NR_SCHED_YIELD, %eax
        syscall
        jmp     .Llock
.Llocked:
        leaq    sysload_exit_stack+SYSLOAD_EXIT_STACK_SIZE(%rip), %rsp
        cld
        movl    %r12d, %edi
        call    sysload_at_exit
        cmpl    $SYSLOAD_NR_EXIT_GROUP, %r12d
        je      .Lleave
        movl    $0, sysload_state+SYSLOAD_STATE_EXIT_LOCK(%rip)
.Lleave:
        movl    %r12d, %eax
        movl    %r13d, %edi
        syscall
        hlt
        .size   sysload_callback_count, . - sysload_callback_count

        .section .rodata, "a"
        .p2align 3
.Lall_signals:
        .quad   -1
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
