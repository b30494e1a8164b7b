// The callback of a program that has hooks, and every way from it into C++ and back. hook_check.S stands in front
// of it where a thread may not be its block's owner, and signal_entry.S is what signals come to.
//
// Until rsp is the hook stack's, nothing may be pushed, and no flag changed: lea, mov and jrcxz do
// neither. From there on the state of the program's call lies in the thread's block (thread_block.h),
// reached through gs, so that a signal handler can read off where a call stands:
//
//   where rip is                        what a signal finds (struck.cc)
//   sysload_callback_hook ... _entered  the call has not begun: it begins again
//   sysload_hook_alternate ... _blocked likewise; registers come from the block
//   sysload_callback_checked ... _end   likewise; registers lie below rsp, or in r10
//   sysload_callback_guarded ... _end   likewise
//   rsp on the hook stack               the signal is put off; at leaving, it is sent again
//   sysload_hook_leave ... _left        likewise, and leaving begins again, the slow way
//   sysload_hook_pass ... _pass_end     likewise, of a call that passes
//   sysload_hook_to_issue ... _end      likewise, of a call that is issued
//   sysload_hook_end ... _end_end       likewise, of one whose end was seen
//   sysload_hook_left, _passed_on, _ended   everything is the program's again but rip, which is in rcx
//   sysload_hook_to_load, _load ... _issue   the call was not made, or is to be made again: it is undone
//   sysload_hook_issued ... _switched   the call is done: hooks see its end first
//   sysload_hook_issued_alternate ...   likewise
//   sysload_hook_unblocked ... _end     registers come from the block
//   sysload_hook_stacked ... _left      likewise, from above rsp
#include "loader/abi.h"
#include "loader/label.inc"
#include "loader/mask.inc"
#include "loader/filter.inc"

        .section .note.GNU-stack, "", @progbits
        .text

// While no C++ runs, rsp on the hook stack is the block's own address, since the stack ends where the
// block begins: BLOCK(%rsp) takes five to eight bytes in an instruction, and %gs:BLOCK nine. What is
// fetched between two system calls is most of what they cost.

// What the ways below have in common. sahf gives back the arithmetic flags, and DF or AC, which are
// rare, take popfq, out of the way. First what can be done early, which leaves them in eax:
        .macro  LOAD_FLAGS odd
        movl    SYSLOAD_BLOCK_FLAGS(%rsp), %ecx
        testl   $SYSLOAD_ODD_FLAGS, %ecx
        jnz     \odd
        movl    %ecx, %eax
        shrl    $11, %eax
        andl    $1, %eax
        movb    %cl, %ah
        .endm

        .macro  SET_FLAGS
        addb    $0x7f, %al
        sahf
        .endm

// All of it. `back` and `odd` are labels.
        .macro  RESTORE_FLAGS back, odd
        LOAD_FLAGS \odd
        SET_FLAGS
\back:
        .endm

        .macro  RESTORE_ODD_FLAGS back, odd
\odd:
        pushq   %rcx
        popfq
        jmp     \back
        .endm

// The arguments as the program had them, on the hook stack, and anywhere.
        .macro  LOAD_ARGUMENTS_HERE
        movq    SYSLOAD_BLOCK_RDI(%rsp), %rdi
        movq    SYSLOAD_BLOCK_RSI(%rsp), %rsi
        movq    SYSLOAD_BLOCK_RDX(%rsp), %rdx
        movq    SYSLOAD_BLOCK_R10(%rsp), %r10
        movq    SYSLOAD_BLOCK_R8(%rsp), %r8
        movq    SYSLOAD_BLOCK_R9(%rsp), %r9
        .endm

        .macro  LOAD_ARGUMENTS
        movq    %gs:SYSLOAD_BLOCK_RDI, %rdi
        movq    %gs:SYSLOAD_BLOCK_RSI, %rsi
        movq    %gs:SYSLOAD_BLOCK_RDX, %rdx
        movq    %gs:SYSLOAD_BLOCK_R10, %r10
        movq    %gs:SYSLOAD_BLOCK_R8, %r8
        movq    %gs:SYSLOAD_BLOCK_R9, %r9
        .endm

// The call as hooks have left it. Where its number is still the program's, what the program has above the
// lower half goes along, which tracers see.
        .macro  LOAD_CALL
        movq    %gs:SYSLOAD_CALL_ARGUMENT, %rdi
        movq    %gs:SYSLOAD_CALL_ARGUMENT+8, %rsi
        movq    %gs:SYSLOAD_CALL_ARGUMENT+16, %rdx
        movq    %gs:SYSLOAD_CALL_ARGUMENT+24, %r10
        movq    %gs:SYSLOAD_CALL_ARGUMENT+32, %r8
        movq    %gs:SYSLOAD_CALL_ARGUMENT+40, %r9
        movq    %gs:SYSLOAD_BLOCK_RAX, %rax
        movl    %gs:SYSLOAD_BLOCK_CALL, %ecx
        movl    %eax, %r11d
        notl    %r11d
        leal    1(%rcx, %r11), %ecx
        jrcxz   .Lnumber_is_programs\@
        movl    %gs:SYSLOAD_BLOCK_CALL, %eax
.Lnumber_is_programs\@:
        .endm

// rsp has passed the flags.
        .macro  LOAD_LEAVING field, register
        movq    \field-SYSLOAD_LEAVING_MASK(%rsp), %\register
        .endm

// The one hook's entry() or exit().
        .macro  CALL_HOOK function
        movl    $1, SYSLOAD_BLOCK_RUNNING(%rsp)
        movq    SYSLOAD_BLOCK_HOOK(%rsp), %rdi
        leaq    SYSLOAD_BLOCK_THREAD(%rsp), %rsi
        leaq    SYSLOAD_BLOCK_CALL(%rsp), %rdx
        call    *\function(%rsp)
        movl    $0, SYSLOAD_BLOCK_RUNNING(%rsp)
        .endm

// Fields of the call, by a pointer into its midst: four bytes an instruction.
#define CALL_MIDDLE (SYSLOAD_CALL_ARGUMENT + 8)
#define IN_CALL(field) (field - CALL_MIDDLE)

// --- The filter -------------------------------------------------------------------------------
//
//   in       rcx = resume; all else the program's, rsp 128 lower
//   out      of no interest: at the native tail; else at resume, or at the tail
//   clobbers rcx, r11
//
// The table has 65,536 bytes at a multiple of 64 KiB, so a base and the low half of a number make
// an address in one register.
        .p2align 6
        LABEL   sysload_callback_hook
        leaq    SYSREWRITE_TAIL_FROM_RESUME(%rcx), %r11
        LABEL   sysload_hook_filter
        LOAD_INTEREST
        jrcxz   .Lpass
        movq    %rcx, %gs:SYSLOAD_BLOCK_INTEREST

// --- Entry ------------------------------------------------------------------------------------
//
//   in       r11 = the native tail; all else the program's, rsp 128 lower
//   out      sysload_hook_enter(block) has been called, on the hook stack; or the one hook, where there is
//            nothing else to do
        movq    %gs:SYSLOAD_BLOCK_MARK, %rcx
        leaq    SYSLOAD_MINUS_MARK(%rcx), %rcx
        jrcxz   .Lswitch
        jmp     sysload_hook_alternate
.Lpass: jmp     *%r11
.Lswitch:
        movq    %rsp, %gs:SYSLOAD_BLOCK_RSP
        movq    %gs:SYSLOAD_BLOCK_STACK, %rsp
        LABEL   sysload_hook_entered
        pushfq
        popq    %rcx
        andl    $~SYSLOAD_TRAP_FLAG, %ecx
        movq    %rcx, SYSLOAD_BLOCK_FLAGS(%rsp)
        testl   $SYSLOAD_ODD_FLAGS, %ecx
        jnz     .Lentered_odd
.Lentered_even:
        leaq    CALL_MIDDLE(%rsp), %rcx
        movq    %rax, SYSLOAD_BLOCK_RAX(%rsp)
        movq    %rdi, SYSLOAD_BLOCK_RDI(%rsp)
        movq    %rsi, SYSLOAD_BLOCK_RSI(%rsp)
        movq    %rdx, SYSLOAD_BLOCK_RDX(%rsp)
        movq    %r10, SYSLOAD_BLOCK_R10(%rsp)
        movq    %r8, SYSLOAD_BLOCK_R8(%rsp)
        movq    %r9, SYSLOAD_BLOCK_R9(%rsp)
        movq    %r11, SYSLOAD_BLOCK_TAIL(%rsp)
        movl    %eax, %eax              // of a number the kernel looks at this half only
        movq    %rax, IN_CALL(SYSLOAD_BLOCK_CALL)(%rcx)
        movq    %rdi, IN_CALL(SYSLOAD_CALL_ARGUMENT)(%rcx)
        movq    %rsi, IN_CALL(SYSLOAD_CALL_ARGUMENT+8)(%rcx)
        movq    %rdx, IN_CALL(SYSLOAD_CALL_ARGUMENT+16)(%rcx)
        movq    %r10, IN_CALL(SYSLOAD_CALL_ARGUMENT+24)(%rcx)
        movq    %r8, IN_CALL(SYSLOAD_CALL_ARGUMENT+32)(%rcx)
        movq    %r9, IN_CALL(SYSLOAD_CALL_ARGUMENT+40)(%rcx)
        movq    %r11, IN_CALL(SYSLOAD_CALL_ORIGIN)(%rcx)
        testb   $SYSLOAD_INTEREST_SIMPLE, SYSLOAD_BLOCK_INTEREST(%rsp)
        jz      .Lgeneral

// --- One hook, and nothing else to do ------------------------------------------------------------
//
// What most calls of most hooks need, without C++ in between. Where the hook lets the call pass, has
// not changed it and does not want to see its end, the registers come back from the block and the
// stub's tail makes the call.
        movq    SYSLOAD_BLOCK_RSP(%rsp), %rax
        subq    $-SYSREWRITE_RED_ZONE, %rax
        movq    %rax, IN_CALL(SYSLOAD_CALL_STACK_POINTER)(%rcx)
        xorl    %eax, %eax
        movq    %rax, IN_CALL(SYSLOAD_CALL_SCRATCH)(%rcx)
        movq    %rax, IN_CALL(SYSLOAD_CALL_SCRATCH+8)(%rcx)
        movq    %rax, IN_CALL(SYSLOAD_CALL_SCRATCH+16)(%rcx)
        movq    %rax, IN_CALL(SYSLOAD_CALL_SCRATCH+24)(%rcx)
        movl    %eax, SYSLOAD_BLOCK_CALL_MEMORY(%rsp)
        testb   $SYSLOAD_INTEREST_ENTRY, SYSLOAD_BLOCK_INTEREST(%rsp)
        jz      .Lentry_done
        CALL_HOOK SYSLOAD_BLOCK_HOOK_ENTRY
        testl   %eax, %eax
        jnz     sysload_hook_end        // answered
.Lentry_done:
        testb   $SYSLOAD_INTEREST_EXIT, SYSLOAD_BLOCK_INTEREST(%rsp)
        jnz     .Lsimple_exit
        movq    SYSLOAD_BLOCK_RAX(%rsp), %rcx
        cmpq    %rcx, SYSLOAD_BLOCK_CALL(%rsp)
        jne     .Lchanged
        LOAD_FLAGS .Lchanged            // or odd: C++ knows what to do
        leaq    CALL_MIDDLE(%rsp), %rcx
        LOAD_ARGUMENTS_HERE
        cmpq    %rdi, IN_CALL(SYSLOAD_CALL_ARGUMENT)(%rcx)
        jne     .Lchanged
        cmpq    %rsi, IN_CALL(SYSLOAD_CALL_ARGUMENT+8)(%rcx)
        jne     .Lchanged
        cmpq    %rdx, IN_CALL(SYSLOAD_CALL_ARGUMENT+16)(%rcx)
        jne     .Lchanged
        cmpq    %r10, IN_CALL(SYSLOAD_CALL_ARGUMENT+24)(%rcx)
        jne     .Lchanged
        cmpq    %r8, IN_CALL(SYSLOAD_CALL_ARGUMENT+32)(%rcx)
        jne     .Lchanged
        cmpq    %r9, IN_CALL(SYSLOAD_CALL_ARGUMENT+40)(%rcx)
        jne     .Lchanged
        LABEL   sysload_hook_pass
        cmpl    $0, SYSLOAD_BLOCK_PENDING(%rsp)
        jne     sysload_hook_pass_slowly
        SET_FLAGS
        movq    SYSLOAD_BLOCK_TAIL(%rsp), %rcx
        movq    SYSLOAD_BLOCK_RAX(%rsp), %rax
        movq    SYSLOAD_BLOCK_RSP(%rsp), %rsp
        LABEL   sysload_hook_passed_on
        jmp     *%rcx
        LABEL   sysload_hook_pass_end

// --- Several hooks, or something for sysload itself to do ------------------------------------------
.Lgeneral:
        movq    %rsp, %rdi
        movq    %rax, %rsi
        call    sysload_hook_enter
.Lentered:
        testl   %eax, %eax
        jnz     .Lspecial

// --- Leaving ----------------------------------------------------------------------------------
//
//   in       the block's fields LEAVE_*, FLAGS and those of the arguments; rsp = the hook stack
//   out      all of them are in the registers
        LABEL   sysload_hook_leave
        cmpl    $0, SYSLOAD_BLOCK_PENDING(%rsp)
        jne     sysload_hook_leave_slowly
        RESTORE_FLAGS .Lflags, .Lodd_flags
        LOAD_ARGUMENTS_HERE
        movq    SYSLOAD_BLOCK_LEAVE_RCX(%rsp), %rcx
        movq    SYSLOAD_BLOCK_LEAVE_R11(%rsp), %r11
        movq    SYSLOAD_BLOCK_LEAVE_RAX(%rsp), %rax
        movq    SYSLOAD_BLOCK_LEAVE_RSP(%rsp), %rsp
        LABEL   sysload_hook_left
        jmp     *%rcx
        RESTORE_ODD_FLAGS .Lflags, .Lodd_flags
        LABEL   sysload_hook_leave_end

.Lchanged:
        movq    %gs:SYSLOAD_BLOCK_SELF, %rdi
        call    sysload_hook_changed
        jmp     .Lentered
// Its end is to be seen. It may be another call by now, of which sysload has to know.
.Lsimple_exit:
        movq    SYSLOAD_BLOCK_CALL(%rsp), %rcx
        cmpq    %rcx, SYSLOAD_BLOCK_RAX(%rsp)
        jne     .Lchanged_with_exit
        movl    $1, %eax
        movl    %eax, SYSLOAD_BLOCK_ASKED(%rsp)
        movl    %eax, SYSLOAD_BLOCK_EXITS(%rsp)
        movq    SYSLOAD_BLOCK_RSP(%rsp), %r11
        subq    $-SYSREWRITE_RED_ZONE, %r11
        movq    %r11, SYSLOAD_BLOCK_LEAVE_RSP(%rsp)
        leaq    sysload_hook_load(%rip), %rax
        movq    %rax, SYSLOAD_BLOCK_LEAVE_RCX(%rsp)
        LABEL   sysload_hook_to_issue
        cmpl    $0, SYSLOAD_BLOCK_PENDING(%rsp)
        jne     sysload_hook_leave_slowly
        RESTORE_FLAGS .Lissue_flags, .Lissue_odd_flags
        leaq    CALL_MIDDLE(%rsp), %rcx
        movq    IN_CALL(SYSLOAD_CALL_ARGUMENT)(%rcx), %rdi
        movq    IN_CALL(SYSLOAD_CALL_ARGUMENT+8)(%rcx), %rsi
        movq    IN_CALL(SYSLOAD_CALL_ARGUMENT+16)(%rcx), %rdx
        movq    IN_CALL(SYSLOAD_CALL_ARGUMENT+24)(%rcx), %r10
        movq    IN_CALL(SYSLOAD_CALL_ARGUMENT+32)(%rcx), %r8
        movq    IN_CALL(SYSLOAD_CALL_ARGUMENT+40)(%rcx), %r9
        movq    IN_CALL(SYSLOAD_BLOCK_CALL)(%rcx), %rax
        movq    %r11, %rsp
        LABEL   sysload_hook_to_load
        jmp     sysload_hook_issue
        RESTORE_ODD_FLAGS .Lissue_flags, .Lissue_odd_flags
        LABEL   sysload_hook_to_issue_end
.Lchanged_with_exit:
        movq    %gs:SYSLOAD_BLOCK_SELF, %rdi
        call    sysload_hook_changed_with_exit
        jmp     .Lentered
.Lentered_odd:
        pushq   $0x202
        popfq
        jmp     .Lentered_even
        LABEL   sysload_hook_pass_slowly
        movq    %gs:SYSLOAD_BLOCK_STACK, %rsp
        movq    %gs:SYSLOAD_BLOCK_SELF, %rdi
        call    sysload_hook_passed
        jmp     sysload_hook_leave_slowly

// --- Entry, where there is an alternate signal stack ---------------------------------------------
//
// While a program runs on its alternate signal stack, and rsp is ours, the kernel believes that
// stack free, and builds the next handler's frame over the one that is running. So there all
// signals are blocked before rsp is changed. Registers lie in the block by then, and a signal
// before that begins the entry again.
        LABEL   sysload_hook_alternate
        leaq    -1(%rcx), %rcx
        jrcxz   .Lhas_alternate
        jmp     sysload_serve_lost
.Lhas_alternate:
        movq    %rsp, %gs:SYSLOAD_BLOCK_RSP
        movq    %rax, %gs:SYSLOAD_BLOCK_RAX
        movq    %rdi, %gs:SYSLOAD_BLOCK_RDI
        movq    %rsi, %gs:SYSLOAD_BLOCK_RSI
        movq    %rdx, %gs:SYSLOAD_BLOCK_RDX
        movq    %r10, %gs:SYSLOAD_BLOCK_R10
        LABEL   sysload_hook_alternate_saved
        lahf
        seto    %al
        movq    %rax, %gs:SYSLOAD_BLOCK_LAHF
        LABEL   sysload_hook_alternate_flags
        movq    %rsp, %rcx
        subq    %gs:SYSLOAD_BLOCK_ALT_LOW, %rcx
        cmpq    %gs:SYSLOAD_BLOCK_ALT_SIZE, %rcx
        jb      .Lon_alternate_stack
        addb    $0x7f, %al
        sahf
        movq    %gs:SYSLOAD_BLOCK_RAX, %rax
        movq    %gs:SYSLOAD_BLOCK_STACK, %rsp
        jmp     sysload_hook_entered
.Lon_alternate_stack:
        LABEL   sysload_hook_on_alternate
        ASK_FOR_NO_SIGNALS
        movq    %r11, %gs:SYSLOAD_BLOCK_TAIL
        syscall
        LABEL   sysload_hook_alternate_blocked
        movl    $SYSLOAD_PENDING_BLOCKED, %gs:SYSLOAD_BLOCK_PENDING
        movq    %gs:SYSLOAD_BLOCK_TAIL, %r11
        movq    %gs:SYSLOAD_BLOCK_LAHF, %rax
        addb    $0x7f, %al
        sahf
        movq    %gs:SYSLOAD_BLOCK_RAX, %rax
        movq    %gs:SYSLOAD_BLOCK_RDI, %rdi
        movq    %gs:SYSLOAD_BLOCK_RSI, %rsi
        movq    %gs:SYSLOAD_BLOCK_RDX, %rdx
        movq    %gs:SYSLOAD_BLOCK_R10, %r10
        movq    %gs:SYSLOAD_BLOCK_STACK, %rsp
        jmp     sysload_hook_entered

// The same after a call. The registers are free.
        LABEL   sysload_hook_issued_alternate
.Lissued_alternate:
        movq    %rsp, %rcx
        subq    %gs:SYSLOAD_BLOCK_ALT_LOW, %rcx
        cmpq    %gs:SYSLOAD_BLOCK_ALT_SIZE, %rcx
        jae     .Lissued_elsewhere
        ASK_FOR_NO_SIGNALS
        syscall
        movl    $SYSLOAD_PENDING_BLOCKED, %gs:SYSLOAD_BLOCK_PENDING
.Lissued_elsewhere:
        movq    %gs:SYSLOAD_BLOCK_STACK, %rsp
        jmp     sysload_hook_issued_switched
        LABEL   sysload_hook_issued_end

// --- Leaving, where all signals are blocked ----------------------------------------------------
//
//   in       as above
//   out      as above, and the mask is the program's. What was put off strikes here, with rsp the
//            program's.
        LABEL   sysload_hook_leave_slowly
        movq    %gs:SYSLOAD_BLOCK_STACK, %rsp
        movq    %gs:SYSLOAD_BLOCK_SELF, %rdi
        call    sysload_hook_settle
        testq   %rax, %rax
        jnz     .Lleave_by_stack
        pushq   %gs:SYSLOAD_BLOCK_FLAGS
        popfq
        movq    %gs:SYSLOAD_BLOCK_LEAVE_RSP, %rsp
        ASK_FOR_PROGRAMS_MASK
        syscall
        LABEL   sysload_hook_unblocked
        LOAD_ARGUMENTS
        movq    %gs:SYSLOAD_BLOCK_LEAVE_RCX, %rcx
        movq    %gs:SYSLOAD_BLOCK_LEAVE_R11, %r11
        movq    %gs:SYSLOAD_BLOCK_LEAVE_RAX, %rax
        jmp     *%rcx
        LABEL   sysload_hook_unblocked_end

// Where any handler may run (kept_calls.h) the block may be another call's as soon as signals are open, so
// all that is to be loaded lies on the program's stack.
.Lleave_by_stack:
        movq    %rax, %rsp
        popfq
        movl    $SYSLOAD_NR_RT_SIGPROCMASK, %eax
        movl    $SYSLOAD_SIG_SETMASK, %edi
        movq    %rsp, %rsi
        movl    $0, %edx
        movl    $SYSLOAD_SIGSET_SIZE, %r10d
        syscall
        LABEL   sysload_hook_stacked
        LOAD_LEAVING SYSLOAD_LEAVING_RDI, rdi
        LOAD_LEAVING SYSLOAD_LEAVING_RSI, rsi
        LOAD_LEAVING SYSLOAD_LEAVING_RDX, rdx
        LOAD_LEAVING SYSLOAD_LEAVING_R10, r10
        LOAD_LEAVING SYSLOAD_LEAVING_R8, r8
        LOAD_LEAVING SYSLOAD_LEAVING_R9, r9
        LOAD_LEAVING SYSLOAD_LEAVING_RAX, rax
        LOAD_LEAVING SYSLOAD_LEAVING_R11, r11
        LOAD_LEAVING SYSLOAD_LEAVING_RCX, rcx
        LOAD_LEAVING SYSLOAD_LEAVING_RSP, rsp
        LABEL   sysload_hook_stack_left
        jmp     *%rcx

// --- A call whose end hooks want to see ---------------------------------------------------------
//
//   in       rsp, flags, rbx, rbp and r12 to r15 are the program's; the block has the call
//   out      back at resume
        LABEL   sysload_hook_load
        LOAD_CALL
        .p2align 6
        LABEL   sysload_hook_issue
        syscall
        LABEL   sysload_hook_issued
        movq    %rax, %gs:SYSLOAD_BLOCK_RESULT
        LABEL   sysload_hook_issued_saved
        cmpq    $-SYSLOAD_MINUS_MARK, %gs:SYSLOAD_BLOCK_MARK
        jne     .Lissued_alternate
        movq    %gs:SYSLOAD_BLOCK_STACK, %rsp
        LABEL   sysload_hook_issued_switched
        testl   $SYSLOAD_ODD_FLAGS, SYSLOAD_BLOCK_FLAGS(%rsp)
        jnz     .Lissued_odd
.Lexit: testb   $SYSLOAD_INTEREST_SIMPLE, SYSLOAD_BLOCK_INTEREST(%rsp)
        jz      .Lend_unseen

// One hook, which may want to see the end: its call may have been changed, too.
        cmpl    $0, SYSLOAD_BLOCK_EXITS(%rsp)
        je      .Lend_unseen
        movq    SYSLOAD_BLOCK_RESULT(%rsp), %rax
        movq    %rax, SYSLOAD_CALL_RESULT(%rsp)
        CALL_HOOK SYSLOAD_BLOCK_HOOK_EXIT
        LABEL   sysload_hook_end
        cmpl    $0, SYSLOAD_BLOCK_PENDING(%rsp)
        jne     sysload_hook_end_slowly
        RESTORE_FLAGS .Lend_flags, .Lend_odd_flags
        LOAD_ARGUMENTS_HERE
        movq    SYSLOAD_CALL_RESULT(%rsp), %rax
        movq    SYSLOAD_BLOCK_FLAGS(%rsp), %r11
        movq    SYSLOAD_BLOCK_TAIL(%rsp), %rcx
        leaq    -SYSREWRITE_TAIL_FROM_RESUME(%rcx), %rcx
        movq    SYSLOAD_BLOCK_RSP(%rsp), %rsp
        LABEL   sysload_hook_ending
        leaq    SYSREWRITE_RED_ZONE(%rsp), %rsp
        LABEL   sysload_hook_ended
        jmp     *%rcx
        RESTORE_ODD_FLAGS .Lend_flags, .Lend_odd_flags
        LABEL   sysload_hook_end_end
.Lissued_odd:
        pushq   $0x202
        popfq
        jmp     .Lexit
.Lend_unseen:
        movq    %gs:SYSLOAD_BLOCK_SELF, %rdi
        call    sysload_hook_exit
        jmp     sysload_hook_leave
        LABEL   sysload_hook_end_slowly
        movq    %gs:SYSLOAD_BLOCK_STACK, %rsp
        movq    %gs:SYSLOAD_BLOCK_SELF, %rdi
        call    sysload_hook_answered
        jmp     sysload_hook_leave_slowly

.Lspecial:
        cmpl    $SYSLOAD_HOOK_EXIT, %eax
        je      .Lend_thread

// --- clone, clone3, fork, vfork -----------------------------------------------------------------
//
// All signals are blocked, and the child's block, where it shares this memory, is made. Its address
// goes along in rbx, which the kernel keeps in both; the child may have another stack.
        movq    %rbx, %gs:SYSLOAD_BLOCK_RBX
        movq    %gs:SYSLOAD_BLOCK_CHILD, %rcx
        testq   %rcx, %rcx
        jz      .Lno_child_block
        movq    %rbx, SYSLOAD_BLOCK_RBX(%rcx)
.Lno_child_block:
        movq    %rcx, %rbx
        LOAD_CALL
        movq    %gs:SYSLOAD_BLOCK_RSP, %rsp
        leaq    SYSREWRITE_RED_ZONE(%rsp), %rsp
        syscall
        testq   %rax, %rax
        jz      .Lchild
        movq    %gs:SYSLOAD_BLOCK_STACK, %rsp
        movq    %rax, %gs:SYSLOAD_BLOCK_RESULT
        movq    %gs:SYSLOAD_BLOCK_RBX, %rbx
        movq    %gs:SYSLOAD_BLOCK_SELF, %rdi
        call    sysload_hook_cloned
        jmp     sysload_hook_leave
.Lchild:
        testq   %rbx, %rbx
        leaq    -SYSREWRITE_RED_ZONE(%rsp), %rsp
        jz      .Lforked
        movq    %rsp, SYSLOAD_BLOCK_RSP(%rbx)
        cmpl    $0, sysload_state+SYSLOAD_STATE_WRITES_GS(%rip)
        je      .Lset_by_call
        wrgsbase %rbx
        jmp     .Lset
.Lset_by_call:
        movl    $SYSLOAD_NR_ARCH_PRCTL, %eax
        movl    $SYSLOAD_ARCH_SET_GS, %edi
        movq    %rbx, %rsi
        syscall
.Lset:  movq    %gs:SYSLOAD_BLOCK_STACK, %rsp
        movq    %gs:SYSLOAD_BLOCK_RBX, %rbx
        movq    %gs:SYSLOAD_BLOCK_SELF, %rdi
        call    sysload_hook_started
        jmp     sysload_hook_leave
.Lforked:
        movq    %rsp, %gs:SYSLOAD_BLOCK_RSP
        movq    %gs:SYSLOAD_BLOCK_STACK, %rsp
        movq    %gs:SYSLOAD_BLOCK_RBX, %rbx
        movq    %gs:SYSLOAD_BLOCK_SELF, %rdi
        call    sysload_hook_forked
        jmp     sysload_hook_leave

// --- exit ---------------------------------------------------------------------------------------
//
// The block goes to whoever takes it first, stack and all, so from there on there are registers
// alone. All signals are blocked.
.Lend_thread:
        LOAD_ARGUMENTS
        movq    %gs:SYSLOAD_BLOCK_SELF, %rbx
        movl    $0, SYSLOAD_BLOCK_TID(%rbx)
        leaq    sysload_state+SYSLOAD_STATE_FREE_BLOCKS(%rip), %rbp
        movq    (%rbp), %rax
.Lpush: movq    %rax, SYSLOAD_BLOCK_NEXT(%rbx)
        lock cmpxchgq %rbx, (%rbp)
        jne     .Lpush
        movl    $SYSLOAD_NR_EXIT, %eax
        syscall
        hlt

// Calls a function on the hook stack, which is not in use, while all signals are blocked.
//
//   in       psABI: rdi = the function, rsi = its argument
//   out      psABI
        LABEL   sysload_call_on_hook_stack
        pushq   %rbp
        movq    %rsp, %rbp
        movq    %gs:SYSLOAD_BLOCK_STACK, %rsp
        movq    %rdi, %rax
        movq    %rsi, %rdi
        call    *%rax
        movq    %rbp, %rsp
        popq    %rbp
        ret
