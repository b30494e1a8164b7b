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

// ecx = 0 where gettid's answer in eax is the tid of the block's owner.
        .macro  COMPARE_OWNER
        movl    %gs:SYSLOAD_BLOCK_TID, %ecx
        notl    %ecx
        leal    1(%rax, %rcx), %ecx
        .endm

        .p2align 6
        LABEL   sysload_callback_checked
        leaq    SYSREWRITE_TAIL_FROM_RESUME(%rcx), %r11
        movq    sysload_state+SYSLOAD_STATE_INTEREST(%rip), %rcx
        movw    %ax, %cx
        movzbl  (%rcx), %ecx
        jrcxz   .Lunchecked
        WHERE   SYSLOAD_NR_EXIT, .Lcheck_exit
        movq    %r11, -8(%rsp)
        movq    %rax, -16(%rsp)
        LABEL   sysload_check_saved
        movl    $SYSLOAD_NR_GETTID, %eax
        syscall
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
        movl    $SYSLOAD_NR_GETTID, %eax
        syscall
        COMPARE_OWNER
        movl    $SYSLOAD_NR_EXIT, %eax
        movq    %r10, %r11
        LABEL   sysload_check_exit_loaded
        jrcxz   .Lowner
        jmp     *%r11                   // nothing is known of it that could end
        LABEL   sysload_callback_checked_end
