// System calls where only sysload may issue them: Syscall User Dispatch is armed with one allowed
// range, which is sysload's own code, so the native tails of the stubs are as forbidden as code that
// nobody rewrote. Everything that leaves for a tail comes here instead.
//
// `syscall` overwrites rcx and r11, and then nothing is left that says where to go on. It must not
// lie on the program's stack: a thread of clone has another one, a child of vfork overwrites its
// parent's, and a thread may unmap its own. So it lies in a slot, and the slot's address in rbx, which
// the kernel keeps, in a new thread too.
//
//   slot     owner     the slot's own address: it is free; anything else: it is not
//            tail      where the call came from
//            rbx       the program's
//            number    of the call
//            rax       scratch
//            sharers   how many threads still have to read this slot: two return from clone
//
// Which slot is free is found from rsp, by which threads differ. A handler that leaves a call by
// siglongjmp keeps its slot for ever; there are 4,096, and without one a call puts its way back onto
// the program's stack, as execve does, whose child of vfork never returns. A clone cannot, and fails
// with EAGAIN, as if there were too many processes.
#include "loader/abi.h"

        .section .note.GNU-stack, "", @progbits
        .text

//   in       r11 = the native tail; rcx is free; all else the program's, rsp 128 lower
//   out      at resume (two bytes before the tail), with the kernel's answer: rsp, all registers and
//            the flags as after a system call
//   stack    some words below the red zone, before the call; afterwards only where a clone returned
        .globl  sysload_call_exhaustive
        .hidden sysload_call_exhaustive
        .type   sysload_call_exhaustive, @function
        .p2align 6
sysload_call_exhaustive:
        leaq    -SYSLOAD_NR_RT_SIGRETURN(%rax), %rcx
        jrcxz   .Lbare
        leaq    -SYSLOAD_NR_EXIT(%rax), %rcx
        jrcxz   .Lexit_near
        leaq    -SYSLOAD_NR_EXIT_GROUP(%rax), %rcx
        jrcxz   .Lexit_near
        leaq    -SYSLOAD_NR_EXECVE(%rax), %rcx
        jrcxz   .Lstack
        leaq    -SYSLOAD_NR_EXECVEAT(%rax), %rcx
        jrcxz   .Lstack
        jmp     .Lslot

// Never comes back, and finds its frame by rsp.
.Lbare: leaq    SYSREWRITE_RED_ZONE(%rsp), %rsp
        syscall
        hlt

.Lexit_near:
        jmp     sysload_exit_hook

.Lstack:
        pushq   %r11
        syscall
        popq    %rcx
        leaq    SYSREWRITE_RED_ZONE(%rsp), %rsp
        leaq    -SYSREWRITE_TAIL_FROM_RESUME(%rcx), %rcx
        jmp     *%rcx

.Lslot: pushq   %r11
        pushfq
        pushq   %rdx
        pushq   %rax
        pushq   %rbx
        movq    %rsp, %rcx
        shrq    $(12 - SYSLOAD_SLOT_SIZE_LOG2), %rcx
        movq    sysload_state+SYSLOAD_STATE_SLOTS(%rip), %r11
        movl    $SYSLOAD_SLOT_COUNT, %edx
.Lnext: addl    $(1 << SYSLOAD_SLOT_SIZE_LOG2), %ecx
        andl    $((SYSLOAD_SLOT_COUNT - 1) << SYSLOAD_SLOT_SIZE_LOG2), %ecx
        leaq    (%r11, %rcx), %rbx
        movq    %rbx, %rax
        lock cmpxchgq %rsp, SYSLOAD_SLOT_OWNER(%rbx)
        je      .Lfound
        decl    %edx
        jnz     .Lnext
        popq    %rbx
        popq    %rax
        popq    %rdx
        popfq
        popq    %r11
        leaq    -SYSLOAD_NR_CLONE(%rax), %rcx
        jrcxz   .Lno_slot
        leaq    -SYSLOAD_NR_FORK(%rax), %rcx
        jrcxz   .Lno_slot
        leaq    -SYSLOAD_NR_VFORK(%rax), %rcx
        jrcxz   .Lno_slot
        leaq    -SYSLOAD_NR_CLONE3(%rax), %rcx
        jrcxz   .Lno_slot
        jmp     .Lstack
.Lno_slot:
        movq    %r11, %rcx
        pushfq
        popq    %r11
        movq    $-SYSLOAD_EAGAIN, %rax
        leaq    SYSREWRITE_RED_ZONE(%rsp), %rsp
        leaq    -SYSREWRITE_TAIL_FROM_RESUME(%rcx), %rcx
        jmp     *%rcx

.Lfound:
        popq    SYSLOAD_SLOT_RBX(%rbx)
        popq    %rax
        popq    %rdx
        movq    %rax, SYSLOAD_SLOT_NUMBER(%rbx)
        movl    $2, SYSLOAD_SLOT_SHARERS(%rbx)
        popfq
        popq    SYSLOAD_SLOT_TAIL(%rbx)
        leaq    SYSREWRITE_RED_ZONE(%rsp), %rsp
        syscall
        movq    SYSLOAD_SLOT_NUMBER(%rbx), %rcx
        subl    $SYSLOAD_NR_CLONE, %ecx
        cmpl    $(SYSLOAD_NR_VFORK - SYSLOAD_NR_CLONE), %ecx
        jbe     .Lcloned
        cmpl    $(SYSLOAD_NR_CLONE3 - SYSLOAD_NR_CLONE), %ecx
        je      .Lcloned

// One thread returns. The flags are put back without the stack (start.S tells how), and the slot is
// given back by the very instruction that reads the last of it.
.Lreturn:
        movq    %rax, SYSLOAD_SLOT_RAX(%rbx)
        movq    %r11, SYSLOAD_SLOT_OWNER(%rbx)  // flags: never the address of a slot
        movl    %r11d, %ecx
        movl    %r11d, %eax
        shrl    $11, %eax
        andl    $1, %eax
        movb    %cl, %ah
        addb    $0x7f, %al
        sahf
        movq    SYSLOAD_SLOT_RAX(%rbx), %rax
        movq    SYSLOAD_SLOT_TAIL(%rbx), %rcx
        movq    SYSLOAD_SLOT_RBX(%rbx), %r11
        xchgq   %rbx, %r11
        xchgq   %r11, SYSLOAD_SLOT_OWNER(%r11)
        leaq    -SYSREWRITE_TAIL_FROM_RESUME(%rcx), %rcx
        jmp     *%rcx

// clone, fork, vfork, clone3: the child is not armed, and may share this slot with its parent.
.Lcloned:
        testq   %rax, %rax
        js      .Lreturn                        // there is no child
        cmpl    $(SYSLOAD_NR_FORK - SYSLOAD_NR_CLONE), %ecx
        je      .Lalone
        jb      .Lclone
        cmpl    $(SYSLOAD_NR_VFORK - SYSLOAD_NR_CLONE), %ecx
        je      .Lshared
        testl   $SYSLOAD_CLONE_VM, (%rdi)       // struct clone_args: flags first
        jnz     .Lshared
        jmp     .Lalone
.Lclone:
        testl   $SYSLOAD_CLONE_VM, %edi
        jnz     .Lshared
.Lalone:
        movl    $1, SYSLOAD_SLOT_SHARERS(%rbx)  // each has its own copy
.Lshared:
        leaq    -SYSREWRITE_RED_ZONE(%rsp), %rsp
        pushq   SYSLOAD_SLOT_TAIL(%rbx)
        pushq   SYSLOAD_SLOT_RBX(%rbx)
        pushq   %r11
        pushq   %r11
        lock decl SYSLOAD_SLOT_SHARERS(%rbx)
        jnz     .Lkept
        movq    %rbx, SYSLOAD_SLOT_OWNER(%rbx)
.Lkept: testq   %rax, %rax
        jnz     .Lparent
        pushq   %rdi
        pushq   %rsi
        pushq   %rdx
        pushq   %r10
        pushq   %r8
        call    sysload_arm
        popq    %r8
        popq    %r10
        popq    %rdx
        popq    %rsi
        popq    %rdi
        xorl    %eax, %eax
.Lparent:
        popfq
        popq    %r11
        popq    %rbx
        popq    %rcx
        leaq    SYSREWRITE_RED_ZONE(%rsp), %rsp
        leaq    -SYSREWRITE_TAIL_FROM_RESUME(%rcx), %rcx
        jmp     *%rcx
        .size   sysload_call_exhaustive, . - sysload_call_exhaustive

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
        .hidden etext
        .hidden __ehdr_start
