// The handlers of a program without hooks, and the way back from them (handlers.cc).
//
// The kernel is given one of the thunks instead of a handler. Each names its handler by a number:
//
//   thunk ---> sysload_handler ---> C++ mends the frame ---> the program's handler
//
// The frame is the kernel's and stays where it is; the program's handler returns into its own
// restorer. Nothing of this is on the stack any more when the handler starts.
//
// A signal may strike here, too. Whoever handles that one must not show the program this code, so
// each place is one of three: before the interlude's mark is set, all is in registers; while it is
// set, all is in the interlude; after it is cleared, all is in registers again.
#include "loader/abi.h"
#include "loader/label.inc"
#include "loader/filter.inc"

        .section .note.GNU-stack, "", @progbits
        .text

// Sets the mark of the interlude at rsp. Clobbers rcx, and no flag.
.macro  SET_MARK kind
        movq    $0, SYSLOAD_INTERLUDE_LOG(%rsp)
        movabsq $SYSLOAD_INTERLUDE_MAGIC + \kind, %rcx
        leaq    (%rsp, %rcx), %rcx
        movq    %rcx, SYSLOAD_INTERLUDE_MARK(%rsp)
.endm

.macro  CLEAR_MARK
        movq    $0, SYSLOAD_INTERLUDE_MARK(%rsp)
.endm

.macro  SAVE    field, register
        movq    %\register, \field(%rsp)
.endm

.macro  LOAD    field, register
        movq    \field(%rsp), %\register
.endm

// What C++ may run with: neither DF nor AC (alignment is checked of what the program keeps where it
// likes), nor TF. NT and ID stay, which rt_sigreturn takes as they are, and not from the frame.
// Source: linux, arch/x86/kernel/signal_64.c, restore_sigcontext(): FIX_EFLAGS.
.macro  PLAIN_FLAGS
        pushfq
        andl    $~(SYSLOAD_ODD_FLAGS | SYSLOAD_TRAP_FLAG), (%rsp)
        popfq
.endm

// --- The callback of static programs, where it does not lie beside the stubs ---------------------
//
// As sysload_callback_pass.
        .p2align 6
        LABEL   sysload_callback_far
        FILTER  .Ltable, .Lspecial, sysload_callback_far_tail
.Lspecial:
        jmp     sysload_special
        LABEL   sysload_callback_far_end

// --- Thunks ------------------------------------------------------------------------------------
//
//   in       as a handler: rdi = number, rsi = siginfo, rdx = ucontext, rsp = the frame
//   out      at sysload_handler, with eax = the thunk's index
        .p2align 4
        LABEL   sysload_thunks
        .set    index, 0
        .rept   SYSLOAD_MOST_HANDLERS
        movl    $index, %eax
        .byte   0xe9                    // jmp rel32, so that all thunks have one size
        .long   sysload_handler - . - 4
        .set    index, index + 1
        .endr
        LABEL   sysload_thunks_end

// --- Handlers ----------------------------------------------------------------------------------
//
//   in       as above, and eax = the index
//   out      at the program's handler, all as the kernel gave it; or back through rt_sigreturn
//   clobbers what a psABI function may; rax = 0, as the kernel has it
//   stack    SYSLOAD_WRAPPER_SIZE bytes and a few hundred of C++
        .p2align 4
        LABEL   sysload_handler
        pushfq                          // SYSLOAD_WRAPPER_FLAGS
        LABEL   sysload_handler_pushed
        leaq    -SYSLOAD_WRAPPER_FLAGS(%rsp), %rsp
        LABEL   sysload_handler_lowered
        SAVE    SYSLOAD_INTERLUDE_WHAT, rax
        SAVE    SYSLOAD_INTERLUDE_RDI, rdi
        SAVE    SYSLOAD_INTERLUDE_RSI, rsi
        SAVE    SYSLOAD_INTERLUDE_RDX, rdx
        SET_MARK SYSLOAD_IS_HANDLER
        LABEL   sysload_handler_marked
        andq    $~SYSLOAD_TRAP_FLAG, SYSLOAD_WRAPPER_FLAGS(%rsp)
        PLAIN_FLAGS
        movq    %rsp, %rdi
        call    sysload_on_handler      // rax: the handler; 0: back
        LOAD    SYSLOAD_INTERLUDE_RDI, rdi
        LOAD    SYSLOAD_INTERLUDE_RSI, rsi
        LOAD    SYSLOAD_INTERLUDE_RDX, rdx
        movq    %rax, %rcx
        pushq   SYSLOAD_WRAPPER_FLAGS(%rsp)
        popfq
        CLEAR_MARK
        LABEL   sysload_handler_cleared
        leaq    SYSLOAD_WRAPPER_SIZE(%rsp), %rsp
        LABEL   sysload_handler_raised
        movl    $0, %eax
        jrcxz   sysload_handler_back
        jmp     *%rcx
        LABEL   sysload_handler_back
        leaq    8(%rsp), %rsp
        movl    $SYSLOAD_NR_RT_SIGRETURN, %eax
        syscall
        hlt
        LABEL   sysload_handler_end

// --- rt_sigreturn ------------------------------------------------------------------------------
//
//   in       r11 = the native tail, rax = 15, rsp 128 below the frame; nothing else matters, since
//            the frame has all registers and the flags
//   out      at the native tail, with the address in the frame one that the program can go on at
//   stack    SYSLOAD_INTERLUDE_SIZE bytes and a few hundred of C++
        .p2align 4
        LABEL   sysload_sigreturn
        leaq    -SYSLOAD_INTERLUDE_SIZE(%rsp), %rsp
        LABEL   sysload_sigreturn_lowered
        SAVE    SYSLOAD_INTERLUDE_WHAT, r11
        SET_MARK SYSLOAD_IS_SIGRETURN
        LABEL   sysload_sigreturn_marked
        PLAIN_FLAGS
        leaq    SYSLOAD_INTERLUDE_SIZE+SYSREWRITE_RED_ZONE(%rsp), %rdi
        call    sysload_on_sigreturn
        LOAD    SYSLOAD_INTERLUDE_WHAT, r11
        movl    $SYSLOAD_NR_RT_SIGRETURN, %eax
        CLEAR_MARK
        LABEL   sysload_sigreturn_cleared
        leaq    SYSLOAD_INTERLUDE_SIZE(%rsp), %rsp
        LABEL   sysload_sigreturn_raised
        jmp     *%r11
        LABEL   sysload_sigreturn_end

// --- rt_sigaction ------------------------------------------------------------------------------
//
//   in       r11 = the native tail, rax = 13, rsp 128 lower; all else the program's
//   out      at resume, with the answer
//   stack    SYSLOAD_ACTION_SIZE bytes and a few hundred of C++
//
// The one call that is made is the program's, with another handler in it. Registers that C++ keeps are
// saved for whoever interrupts it.
        .p2align 4
        LABEL   sysload_action
        pushfq                          // SYSLOAD_INTERLUDE_FLAGS
        LABEL   sysload_action_pushed
        leaq    -SYSLOAD_INTERLUDE_FLAGS(%rsp), %rsp
        LABEL   sysload_action_lowered
        SAVE    SYSLOAD_INTERLUDE_WHAT, r11
        SAVE    SYSLOAD_INTERLUDE_RDI, rdi
        SAVE    SYSLOAD_INTERLUDE_RSI, rsi
        SAVE    SYSLOAD_INTERLUDE_RDX, rdx
        SAVE    SYSLOAD_INTERLUDE_R10, r10
        SAVE    SYSLOAD_INTERLUDE_R8, r8
        SAVE    SYSLOAD_INTERLUDE_R9, r9
        SAVE    SYSLOAD_INTERLUDE_RBX, rbx
        SAVE    SYSLOAD_INTERLUDE_RBP, rbp
        SAVE    SYSLOAD_INTERLUDE_R12, r12
        SAVE    SYSLOAD_INTERLUDE_R13, r13
        SAVE    SYSLOAD_INTERLUDE_R14, r14
        SAVE    SYSLOAD_INTERLUDE_R15, r15
        movq    $0, SYSLOAD_INTERLUDE_IS_MADE(%rsp)
        SET_MARK SYSLOAD_IS_ACTION
        LABEL   sysload_action_marked
        // A debugger that steps has set TF for the one instruction that has stored it.
        andq    $~SYSLOAD_TRAP_FLAG, SYSLOAD_INTERLUDE_FLAGS(%rsp)
        LABEL   sysload_action_saved
        PLAIN_FLAGS
        movq    %rsp, %rdi
        call    sysload_before_action   // rax: the action to be given to the kernel
        movq    %rax, %rsi
        LOAD    SYSLOAD_INTERLUDE_RDI, rdi
        LOAD    SYSLOAD_INTERLUDE_RDX, rdx
        LOAD    SYSLOAD_INTERLUDE_R10, r10
        movl    $SYSLOAD_NR_RT_SIGACTION, %eax
        syscall
        LABEL   sysload_action_issued
        SAVE    SYSLOAD_INTERLUDE_RESULT, rax
        LABEL   sysload_action_kept
        movq    $1, SYSLOAD_INTERLUDE_IS_MADE(%rsp)
        LABEL   sysload_action_noted
        movq    %rsp, %rdi
        call    sysload_after_action
        LOAD    SYSLOAD_INTERLUDE_RDI, rdi
        LOAD    SYSLOAD_INTERLUDE_RSI, rsi
        LOAD    SYSLOAD_INTERLUDE_RDX, rdx
        LOAD    SYSLOAD_INTERLUDE_R10, r10
        LOAD    SYSLOAD_INTERLUDE_R8, r8
        LOAD    SYSLOAD_INTERLUDE_R9, r9
        LOAD    SYSLOAD_INTERLUDE_WHAT, rcx
        leaq    -SYSREWRITE_TAIL_FROM_RESUME(%rcx), %rcx
        LOAD    SYSLOAD_INTERLUDE_RESULT, rax
        LOAD    SYSLOAD_INTERLUDE_FLAGS, r11              // as the kernel leaves it
        pushq   %r11
        popfq
        CLEAR_MARK
        LABEL   sysload_action_cleared
        leaq    SYSLOAD_ACTION_SIZE+SYSREWRITE_RED_ZONE(%rsp), %rsp
        LABEL   sysload_action_raised
        jmp     *%rcx
        LABEL   sysload_action_end

        .section .rodata, "a"
        TABLE   .Ltable, SYSLOAD_NR_RT_SIGACTION, SYSLOAD_NR_RT_SIGRETURN
