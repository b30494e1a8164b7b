// The callback for dynamic programs, and the way from it into C++.
//
// Nearly every call passes. The few that change what code is mapped are served: a file is mapped
// that may be a rewritten library (mmap), or memory is given back in which one lies (munmap). Those
// few may cost something, so the way in is simple instead of fast:
//
//   a few words on the program's stack   what C++ and the kernel clobber, 88 bytes below the red zone
//   all signals blocked                  no handler runs, and none builds its frame, while rsp is ours
//   one lock, one stack                  no thread block has to be found
//
// The program's stack is valid here: nobody maps a file without one. A thread that unmaps its own
// stack is let through before anything is popped again.
#include "loader/abi.h"
#include "loader/label.inc"
#include "loader/filter.inc"

        .section .note.GNU-stack, "", @progbits
        .text

// --- The filter -------------------------------------------------------------------------------
//
// As filter.inc says; or at resume, with an answer. Flags are kept: munmap's comparison saves them in
// ax, whose value is known there.
        .globl  sysload_callback_serve
        .hidden sysload_callback_serve
        .type   sysload_callback_serve, @function
        .p2align 6
sysload_callback_serve:
        FILTER  .Ltable, .Lspecial, sysload_callback_serve_tail
.Lspecial:
        WHERE   SYSLOAD_NR_WRITE, .Lpass        // has the low byte of openat
        WHERE   SYSLOAD_NR_OPENAT, .Lpath_in_rsi
        WHERE   SYSLOAD_NR_NEWFSTATAT, .Lpath_in_rsi
        WHERE   SYSLOAD_NR_MMAP, .Lmmap
        WHERE   SYSLOAD_NR_MUNMAP, .Lmunmap
        WHERE   SYSLOAD_NR_RT_SIGACTION, .Laction
        WHERE   SYSLOAD_NR_RT_SIGRETURN, .Lreturn
        WHERE   SYSLOAD_NR_STATX, .Lpath_in_rsi
        WHERE   SYSLOAD_NR_OPEN, .Lpath_in_rdi
        WHERE   SYSLOAD_NR_STAT, .Lpath_in_rdi
        WHERE   SYSLOAD_NR_ACCESS, .Lpath_in_rdi
        WHERE   SYSLOAD_NR_FACCESSAT, .Lpath_in_rsi
        jmp     .Lrare
.Lpass: jmp     *%r11
.Laction:
        jmp     sysload_action
.Lreturn:
        jmp     sysload_sigreturn
.Lmmap: jmp     .Lis_mmap
.Lmunmap:
        jmp     .Lis_munmap

// A path is of interest only where it begins as /proc/self/exe does, and sysload is what that names. The
// program's pointer may name nothing: a fault of the load leads to sysload_filter_pass (watched_signals.cc).
.Lpath_in_rsi:
        movl    sysload_state+SYSLOAD_STATE_EXE_SIZE(%rip), %ecx
        jrcxz   .Lpass
        LABEL   sysload_filter_load_rsi
        movl    (%rsi), %ecx
        jmp     .Lcompare
.Lpath_in_rdi:
        movl    sysload_state+SYSLOAD_STATE_EXE_SIZE(%rip), %ecx
        jrcxz   .Lpass
        LABEL   sysload_filter_load_rdi
        movl    (%rdi), %ecx
.Lcompare:
        leaq    -0x6f72702f(%rcx), %rcx         // "/pro"
        jrcxz   .Lserve_near
        LABEL   sysload_filter_pass
        jmp     *%r11

.Lrare:
        WHERE   SYSLOAD_NR_OPENAT2, .Lpath_in_rsi
        WHERE   SYSLOAD_NR_FACCESSAT2, .Lpath_in_rsi
        WHERE   SYSLOAD_NR_READLINK, .Lserve_near
        WHERE   SYSLOAD_NR_READLINKAT, .Lserve_near
        WHERE   SYSLOAD_NR_EXECVE, .Lserve_near
        WHERE   SYSLOAD_NR_EXECVEAT, .Lserve_near
        jmp     *%r11

.Lis_mmap:
        movslq  %r8d, %rcx              // anonymous memory has descriptor -1
        leaq    1(%rcx), %rcx
        jrcxz   .Lanonymous
.Lserve_near:
        jmp     .Lserve

// Without any access: perhaps ld.so's reservation for a library.
.Lanonymous:
        movl    %edx, %ecx
        jrcxz   .Lserve_near
        jmp     *%r11

.Lis_munmap:
        seto    %al
        lahf
        LABEL   sysload_munmap_saved
        cmpq    sysload_state+SYSLOAD_STATE_OBJECTS_LOW(%rip), %rdi
        jb      .Lelsewhere
        cmpq    sysload_state+SYSLOAD_STATE_OBJECTS_HIGH(%rip), %rdi
        jae     .Lelsewhere
        addb    $0x7f, %al
        sahf
        movl    $SYSLOAD_NR_MUNMAP, %eax
        jmp     .Lserve
.Lelsewhere:
        addb    $0x7f, %al
        sahf
        movl    $SYSLOAD_NR_MUNMAP, %eax
        jmp     *%r11
        LABEL   sysload_filter_end
        .size   sysload_callback_serve, . - sysload_callback_serve

// --- Serving ----------------------------------------------------------------------------------
//
//   in       r11 = the native tail; all else the program's, rsp 128 lower
//   out      as above
//   stack    CallFrame (serve.h)
//   signals  before all are blocked, rcx = rsp as it came in; afterwards the frame has everything,
//            until the last instruction. settle.cc knows the places by their labels.
//
// `syscall` leaves the flags in r11, which is how they are learnt without a push of their own.

// Gives the program its mask back, which lies at rsp + `mask`. Clobbers what a call may.
.macro  UNBLOCK mask
        movl    $SYSLOAD_NR_RT_SIGPROCMASK, %eax
        movl    $SYSLOAD_SIG_SETMASK, %edi
        leaq    \mask(%rsp), %rsi
        xorl    %edx, %edx
        movl    $SYSLOAD_SIGSET_SIZE, %r10d
        syscall
.endm

// From the frame, whose flags rsp has passed.
.macro  LOAD    field, register
        movq    \field-SYSLOAD_FRAME_MASK(%rsp), %\register
.endm

        LABEL   sysload_serve_entry
        .type   sysload_serve_entry, @function
.Lserve:
        movq    %rsp, %rcx
        LABEL   sysload_serve_kept
        pushq   %r11
        pushq   %rax
        pushq   %rdi
        pushq   %rsi
        pushq   %rdx
        pushq   %r10
        pushq   %r8
        pushq   %r9
        leaq    -8(%rsp), %rsp          // mask
        LABEL   sysload_serve_pushed
        movl    $SYSLOAD_NR_RT_SIGPROCMASK, %eax
        movl    $SYSLOAD_SIG_SETMASK, %edi
        leaq    .Lall(%rip), %rsi
        movq    %rsp, %rdx
        movl    $SYSLOAD_SIGSET_SIZE, %r10d
        syscall
        LABEL   sysload_serve_blocked
        andl    $~SYSLOAD_TRAP_FLAG, %r11d // set where a debugger steps
        pushq   %r11
        pushq   %rbx
        cld
.Ltake: movl    $1, %eax
        xchgl   %eax, sysload_serve_lock(%rip)
        testl   %eax, %eax
        jz      .Ltaken
        movl    $SYSLOAD_NR_SCHED_YIELD, %eax
        syscall
        jmp     .Ltake
.Ltaken:
        movq    %rsp, %rbx
        movq    %rsp, %rdi
        leaq    sysload_serve_stack+SYSLOAD_SERVE_STACK_SIZE(%rip), %rsp
        call    sysload_serve           // eax: 1 where the call is answered
        movq    %rbx, %rsp
        movl    $0, sysload_serve_lock(%rip)
        movq    SYSLOAD_FRAME_R8(%rsp), %r8
        movq    SYSLOAD_FRAME_R9(%rsp), %r9
        popq    %rbx
        testl   %eax, %eax
        jnz     .Lanswered

        UNBLOCK (SYSLOAD_FRAME_MASK-SYSLOAD_FRAME_FLAGS)
        LABEL   sysload_serve_pass
        popfq
        LABEL   sysload_serve_pass_flags
        LOAD    SYSLOAD_FRAME_R10, r10
        LOAD    SYSLOAD_FRAME_RDX, rdx
        LOAD    SYSLOAD_FRAME_RSI, rsi
        LOAD    SYSLOAD_FRAME_RDI, rdi
        LOAD    SYSLOAD_FRAME_RAX, rax
        LOAD    SYSLOAD_FRAME_TAIL, r11
        leaq    SYSLOAD_FRAME_SIZE-SYSLOAD_FRAME_MASK(%rsp), %rsp
        LABEL   sysload_serve_passed
        jmp     *%r11

.Lanswered:
        UNBLOCK (SYSLOAD_FRAME_MASK-SYSLOAD_FRAME_FLAGS)
        LABEL   sysload_serve_answer
        popfq
        LABEL   sysload_serve_answer_flags
        LOAD    SYSLOAD_FRAME_R10, r10
        LOAD    SYSLOAD_FRAME_RDX, rdx
        LOAD    SYSLOAD_FRAME_RSI, rsi
        LOAD    SYSLOAD_FRAME_RDI, rdi
        LOAD    SYSLOAD_FRAME_RAX, rax
        LOAD    SYSLOAD_FRAME_TAIL, rcx
        movq    SYSLOAD_FRAME_FLAGS-SYSLOAD_FRAME_MASK(%rsp), %r11      // as the kernel leaves it
        leaq    -SYSREWRITE_TAIL_FROM_RESUME(%rcx), %rcx
        leaq    SYSLOAD_FRAME_SIZE-SYSLOAD_FRAME_MASK+SYSREWRITE_RED_ZONE(%rsp), %rsp
        LABEL   sysload_serve_answered
        jmp     *%rcx
        .size   sysload_serve_entry, . - sysload_serve_entry

        .section .rodata, "a"
        TABLE   .Ltable, SYSLOAD_NR_OPEN, SYSLOAD_NR_STAT, SYSLOAD_NR_ACCESS, SYSLOAD_NR_OPENAT, SYSLOAD_NR_NEWFSTATAT, SYSLOAD_NR_FACCESSAT, SYSLOAD_NR_STATX, SYSLOAD_NR_OPENAT2, SYSLOAD_NR_FACCESSAT2, SYSLOAD_NR_MMAP, SYSLOAD_NR_MUNMAP, SYSLOAD_NR_READLINK, SYSLOAD_NR_READLINKAT, SYSLOAD_NR_EXECVE, SYSLOAD_NR_EXECVEAT, SYSLOAD_NR_RT_SIGACTION, SYSLOAD_NR_RT_SIGRETURN
        .p2align 3
.Lall:  .quad   -1
