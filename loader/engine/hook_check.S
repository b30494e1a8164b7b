// Whose block it is: the callback of a process in which there may be foreign threads (foreign_threads.h).
//
//   in       as the filter's; slots lead here instead where foreign threads are expected (foreign_threads.h)
//   out      at the filter, where the block is this thread's; else at sysload_serve_entry, with r11 = the tail
//   clobbers rcx, r11; r10 of exit
//   stack    two words below rsp: the kernel leaves 128 bytes there alone when it builds a signal's frame
//
// Nothing is written to the block before its owner is known: another thread may be in the midst of a call.
// `not` and lea change no flag. A thread that exits may have unmapped its stack, or given it away, and
// needs none of its registers but rdi.
#include "loader/abi.h"
#include "loader/label.inc"
#include "loader/filter.inc"

        .section .note.GNU-stack, "", @progbits
        .text

// ecx = 0 where the block is the calling thread's. As a system call clobbers, and no flag.
        .macro  COMPARE_OWNER
        movl    $SYSLOAD_NR_GETTID, %eax
        syscall
        movl    %gs:SYSLOAD_BLOCK_TID, %ecx
        notl    %ecx
        leal    1(%rax, %rcx), %ecx
        .endm

        .p2align 6
        LABEL   sysload_callback_checked
        leaq    SYSREWRITE_TAIL_FROM_RESUME(%rcx), %r11
        LOAD_INTEREST
        jrcxz   .Lunchecked
        WHERE   SYSLOAD_NR_EXIT, .Lcheck_exit
        movq    %r11, -8(%rsp)
        movq    %rax, -16(%rsp)
        LABEL   sysload_check_saved
        COMPARE_OWNER
        movq    -8(%rsp), %r11
        movq    -16(%rsp), %rax
        LABEL   sysload_check_loaded
        jrcxz   .Lowner
        jmp     sysload_serve_entry     // which adopts the thread, and makes the call anew
.Lowner:
        jmp     sysload_hook_filter
.Lunchecked:
        jmp     *%r11
.Lcheck_exit:
        movq    %r11, %r10
        LABEL   sysload_check_exit_saved
        COMPARE_OWNER
        movl    $SYSLOAD_NR_EXIT, %eax
        movq    %r10, %r11
        LABEL   sysload_check_exit_loaded
        jrcxz   .Lowner
        jmp     *%r11                   // nothing is known of it that could end
        LABEL   sysload_callback_checked_end

// --- Where any handler may run ---------------------------------------------------------------------
//
//   in       as above; slots lead here where native files are mapped (kept_calls.h)
//   out      at sysload_hook_entered, with all signals blocked; the rest as above
//   stack    seven words below rsp
//
// The block is not written to before signals are blocked: their handlers may make calls, which are going to
// use it. Nor is it before what a call has in it that is under way has been kept.
        .macro  LOAD_SAVED
        movq    -8(%rsp), %r11
        movq    -16(%rsp), %rax
        movq    -24(%rsp), %rdi
        movq    -32(%rsp), %rsi
        movq    -40(%rsp), %rdx
        movq    -48(%rsp), %r10
        .endm

        .p2align 6
        LABEL   sysload_callback_guarded
        leaq    SYSREWRITE_TAIL_FROM_RESUME(%rcx), %r11
        LOAD_INTEREST
        jrcxz   .Lunguarded
        WHERE   SYSLOAD_NR_EXIT, .Lguard_exit
        movq    %r11, -8(%rsp)
        movq    %rax, -16(%rsp)
        movq    %rdi, -24(%rsp)
        movq    %rsi, -32(%rsp)
        movq    %rdx, -40(%rsp)
        movq    %r10, -48(%rsp)
        LABEL   sysload_guard_saved
        COMPARE_OWNER
        jrcxz   .Lguard
        LOAD_SAVED
        jmp     sysload_serve_entry
.Lunguarded:
        jmp     *%r11
.Lguard_exit:
        jmp     .Lcheck_exit
.Lguard:
        movl    $SYSLOAD_NR_RT_SIGPROCMASK, %eax
        movl    $SYSLOAD_SIG_SETMASK, %edi
        leaq    sysload_every_signal(%rip), %rsi
        leaq    -56(%rsp), %rdx
        movl    $SYSLOAD_SIGSET_SIZE, %r10d
        syscall
        movl    %gs:SYSLOAD_BLOCK_UNDER_WAY, %ecx
        jrcxz   .Lfree
        movq    %rsp, %rcx
        movq    %gs:SYSLOAD_BLOCK_STACK, %rsp
        pushq   %rcx
        pushfq
        andl    $~SYSLOAD_TRAP_FLAG, (%rsp)
        pushq   %r8
        pushq   %r9
        pushq   $0x202                  // neither DF nor AC
        popfq
        movq    %gs:SYSLOAD_BLOCK_SELF, %rdi
        call    sysload_keep_call
        popq    %r9
        popq    %r8
        popfq
        popq    %rsp
.Lfree:
        movq    -56(%rsp), %rcx
        movq    %rcx, %gs:SYSLOAD_BLOCK_MASK
        movl    $SYSLOAD_PENDING_BLOCKED, %gs:SYSLOAD_BLOCK_PENDING
        LOAD_SAVED
        LOAD_INTEREST
        movq    %rcx, %gs:SYSLOAD_BLOCK_INTEREST
        movq    %rsp, %gs:SYSLOAD_BLOCK_RSP
        movq    %gs:SYSLOAD_BLOCK_STACK, %rsp
        jmp     sysload_hook_entered
        LABEL   sysload_callback_guarded_end
