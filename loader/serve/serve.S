// The callback for dynamic programs, and the way from it, and from that of static ones, into C++.
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

// Goes on behind where the byte at `offset` of the path is this one, and passes where it is not. Clobbers
// rcx, and no flags.
.macro  BYTE    register, offset, value
        movzbl  \offset(%\register), %ecx
        leaq    -\value(%rcx), %rcx
        jrcxz   .Lsame\@
        jmp     *%r11
.Lsame\@:
.endm

// The same of several bytes, from `offset` on.
.macro  BYTES   register, offset, value, more:vararg
        BYTE    \register, \offset, \value
        .ifnb   \more
        BYTES   \register, (\offset+1), \more
        .endif
.endm

// Goes to `to`, which is near, where it is this one.
.macro  WHERE_BYTE register, offset, value, to
        movzbl  \offset(%\register), %ecx
        leaq    -\value(%rcx), %rcx
        jrcxz   \to
.endm

.macro  PATH    register
        movl    sysload_state+SYSLOAD_STATE_EXE_SIZE(%rip), %ecx
        jrcxz   .Lnone\@
        jmp     .Lbegin\@
.Lnone\@:
        jmp     *%r11
.Lbegin\@:
        movq    %\register, %rcx       // no name: the descriptor's file; or what can be no address
        movw    $0, %cx
        jrcxz   .Lnone\@
        movq    %\register, %rcx
        bswapq  %rcx
        movzbl  %cl, %ecx
        jrcxz   .Lplausible\@
        jmp     *%r11
.Lplausible\@:
        WHERE_BYTE \register, 0, '/', .Labsolute\@
        WHERE_BYTE \register, 0, 'e', .Lexe\@
        WHERE_BYTE \register, 0, 's', .Lself\@
        WHERE_BYTE \register, 0, 't', .Lthread\@
        jmp     *%r11
.Labsolute\@:
        jmp     .Lproc\@
.Lthread\@:
        jmp     .Lthread_rest\@
.Lexe\@:
        BYTES   \register, 1, 'x', 'e', 0
        jmp     .Lserve
.Lself\@:
        BYTES   \register, 1, 'e', 'l', 'f', '/', 'e', 'x', 'e', 0
        jmp     .Lserve
.Lthread_rest\@:
        BYTES   \register, 1, 'h', 'r', 'e', 'a', 'd', '-', 's', 'e', 'l', 'f', '/', 'e', 'x', 'e', 0
        jmp     .Lserve
.Lproc\@:
        BYTES   \register, 1, 'p', 'r', 'o', 'c', '/'
        BYTE_IS_NOT_END \register, 6
        .irp    offset, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17
        SLASH_AND_EXE \register, \offset
        .endr
        jmp     *%r11
.endm

.macro  BYTE_IS_NOT_END register, offset
        movzbl  \offset(%\register), %ecx
        jrcxz   .Lend\@
        jmp     .Lmore\@
.Lend\@:
        jmp     *%r11
.Lmore\@:
.endm

// Serves where "/exe" stands at `offset`; passes where another name does, or the path ends.
.macro  SLASH_AND_EXE register, offset
        movzbl  \offset(%\register), %ecx
        leaq    -'/'(%rcx), %rcx
        jrcxz   .Lslash\@
        BYTE_IS_NOT_END \register, \offset
        jmp     .Lname\@
.Lslash\@:
        BYTES   \register, (\offset+1), 'e', 'x', 'e', 0
        jmp     .Lserve
.Lname\@:
.endm

// Goes to `to` where the number is one of these, which are at most 13. Clobbers rcx.
.macro  WHERE_ONE_OF to, numbers:vararg
        .irp    number, \numbers
        WHERE   \number, .Lone\@
        .endr
        jmp     .Lnone\@
.Lone\@:
        jmp     \to
.Lnone\@:
.endm

// Serves where the register, of a descriptor, holds the door. Clobbers rcx, and no flags.
.macro  DOOR    register
        movl    sysload_state+SYSLOAD_STATE_DOOR(%rip), %ecx
        jrcxz   .Lother\@
        leal    (%rcx,%\register), %ecx
        jrcxz   .Ldoor\@
.Lother\@:
        jmp     *%r11
.Ldoor\@:
        jmp     .Lserve
.endm

// Which calls follow a link as open and stat do, besides those: own_exe.cc.
#define OTHER_PATHS_IN_RSI_1 SYSLOAD_NR_UTIMENSAT, SYSLOAD_NR_FCHMODAT, SYSLOAD_NR_FCHOWNAT, SYSLOAD_NR_LINKAT, SYSLOAD_NR_INOTIFY_ADD_WATCH, SYSLOAD_NR_NAME_TO_HANDLE_AT, SYSLOAD_NR_FCHMODAT2, SYSLOAD_NR_FUTIMESAT, SYSLOAD_NR_OPEN_TREE
#define OTHER_PATHS_IN_RSI_2 SYSLOAD_NR_MOVE_MOUNT, SYSLOAD_NR_FSPICK, SYSLOAD_NR_MOUNT_SETATTR, SYSLOAD_NR_SETXATTRAT, SYSLOAD_NR_GETXATTRAT, SYSLOAD_NR_LISTXATTRAT, SYSLOAD_NR_REMOVEXATTRAT, SYSLOAD_NR_OPEN_TREE_ATTR, SYSLOAD_NR_FILE_GETATTR, SYSLOAD_NR_FILE_SETATTR
#define OTHER_PATHS_IN_RDI SYSLOAD_NR_CHMOD, SYSLOAD_NR_CHOWN, SYSLOAD_NR_STATFS, SYSLOAD_NR_GETXATTR, SYSLOAD_NR_SETXATTR, SYSLOAD_NR_LISTXATTR, SYSLOAD_NR_REMOVEXATTR, SYSLOAD_NR_UTIMES, SYSLOAD_NR_UTIME, SYSLOAD_NR_TRUNCATE, SYSLOAD_NR_CREAT, SYSLOAD_NR_UMOUNT2
#define OTHER_PATHS SYSLOAD_NR_MOUNT, SYSLOAD_NR_FANOTIFY_MARK

// --- The filter -------------------------------------------------------------------------------
//
// As filter.inc says; or at resume, with an answer. Static programs come to sysload_special, with r11 and
// rcx as behind the filter. Flags are kept: munmap's comparison saves them in
// ax, whose value is known there.
        .globl  sysload_callback_serve
        .hidden sysload_callback_serve
        .type   sysload_callback_serve, @function
        .p2align 6
sysload_callback_serve:
        FILTER  .Ltable, .Lspecial, sysload_callback_serve_tail
.Lspecial:
        WHERE   SYSLOAD_NR_WRITE, .Lpass        // has the low byte of openat
        WHERE   SYSLOAD_NR_IOCTL, .Lpass        // has that of unshare
        WHERE   SYSLOAD_NR_FSTAT, .Lpass        // has that of futimesat
        WHERE   SYSLOAD_NR_CLOSE, .Lclose
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

.Lpath_in_rsi:
        jmp     .Lpath_rsi
.Lpath_in_rdi:
        jmp     .Lpath_rdi

.Lclose:
        jmp     .Ldoor_rdi

.Lrare:
        WHERE_ONE_OF .Lpass, SYSLOAD_NR_RECVMSG, SYSLOAD_NR_RECVFROM, SYSLOAD_NR_BRK, SYSLOAD_NR_SCHED_YIELD, SYSLOAD_NR_GETTID, SYSLOAD_NR_IO_GETEVENTS, SYSLOAD_NR_IO_SUBMIT
        WHERE_ONE_OF .Lpath_rsi, SYSLOAD_NR_OPENAT2, SYSLOAD_NR_FACCESSAT2, SYSLOAD_NR_READLINKAT
        WHERE_ONE_OF .Lpath_rdi, SYSLOAD_NR_READLINK
        WHERE_ONE_OF .Lclone, SYSLOAD_NR_CLONE
        WHERE_ONE_OF .Lclone3, SYSLOAD_NR_CLONE3
        WHERE_ONE_OF .Lserve, SYSLOAD_NR_EXECVE, SYSLOAD_NR_EXECVEAT, SYSLOAD_NR_SETPGID, SYSLOAD_NR_UNSHARE, SYSLOAD_NR_SETNS
        WHERE_ONE_OF .Ldoor_rsi, SYSLOAD_NR_DUP2, SYSLOAD_NR_DUP3
        WHERE_ONE_OF .Lclose_range, SYSLOAD_NR_CLOSE_RANGE
        WHERE_ONE_OF .Lpath_rsi, OTHER_PATHS_IN_RSI_1
        WHERE_ONE_OF .Lpath_rsi, OTHER_PATHS_IN_RSI_2
        WHERE_ONE_OF .Lpath_rdi, OTHER_PATHS_IN_RDI
        WHERE_ONE_OF .Lserve, OTHER_PATHS
        jmp     *%r11

// Of a process or thread that begins, new namespaces alone are of interest.
.Lclone:
        movl    %edi, %ecx
        bswapl  %ecx
        movzbl  %cl, %ecx
        jmp     .Lnew_namespaces

// Of a descriptor, the door (door.h).
.Ldoor_rsi:
        DOOR    rsi
.Ldoor_rdi:
        DOOR    rdi
.Lclose_range:
        movl    sysload_state+SYSLOAD_STATE_DOOR(%rip), %ecx
        jrcxz   .Lno_door
        jmp     .Lserve
.Lno_door:
        jmp     *%r11

// Of a static program: the ld.so inside tells the kernel, which no longer listens, that nobody is to write
// what it maps, with MAP_FIXED and without. Whoever else maps a file does not.
        LABEL   sysload_special
        WHERE   SYSLOAD_NR_MMAP, .Lstatic_mmap
        jmp     .Lspecial
.Lstatic_mmap:
        leal    -SYSLOAD_MAP_LIBRARY(%r10), %ecx
        jrcxz   .Lserve_near
        leal    -SYSLOAD_MAP_LIBRARY_FIXED(%r10), %ecx
        jrcxz   .Lserve_near
        jmp     *%r11

.Lis_mmap:
        movslq  %r8d, %rcx              // anonymous memory has descriptor -1
        leaq    1(%rcx), %rcx
        jrcxz   .Lanonymous
.Lserve_near:
        jmp     .Lserve

// Without any access: perhaps the reservation of a rewritten ld.so for a library.
.Lanonymous:
        movl    %edx, %ecx
        jrcxz   .Lreserves
        jmp     *%r11
.Lreserves:
        movl    sysload_state+SYSLOAD_STATE_INTERPRETER_SIZE(%rip), %ecx
        jrcxz   .Lunasked
        jmp     .Lserve
.Lunasked:
        jmp     *%r11

// A path is of interest only where it may be /proc/self/exe by one of its names, and sysload is what that
// names: "/proc/", a name of 1 to 11 bytes, "/exe"; or, from a folder, "exe", "self/exe", "thread-self/exe".
// All others pass here, where no lock is taken and no signal blocked. One byte at a time, so that nothing
// behind a path's end is read. The program's pointer may name nothing: a fault of a load leads to
// sysload_filter_pass (watched_signals.cc).
        LABEL   sysload_filter_loads
.Lpath_rsi:
        PATH    rsi
.Lpath_rdi:
        PATH    rdi
.Lclone3:
        movzbl  3(%rdi), %ecx           // of clone_args, whose first field is the flags
        jmp     .Lnew_namespaces
        LABEL   sysload_filter_pass
        jmp     *%r11

// ecx = bits 24 to 31 of a clone's flags: CLONE_CHILD_SETTID is the lowest; those from 25 to 30 are new
// namespaces, and the highest is CLONE_IO.
.Lnew_namespaces:
        jrcxz   .Lnone_new
        leal    -SYSLOAD_CLONE_CHILD_SETTID(%rcx), %ecx
        jrcxz   .Lnone_new
        jmp     .Lserve
.Lnone_new:
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

// Of the one stack that is shared. Clobbers rax, rcx, rdi, rsi, r11 and the flags.
.macro  TAKE_LOCK
.Ltake\@:
        movl    $1, %eax
        xchgl   %eax, sysload_serve_lock(%rip)
        testl   %eax, %eax
        jz      .Ltaken\@
        movl    $SYSLOAD_NR_NANOSLEEP, %eax // not sched_yield: the owner may have a lower priority
        leaq    .Lpause(%rip), %rdi
        xorl    %esi, %esi
        syscall
        jmp     .Ltake\@
.Ltaken\@:
.endm

// A thread whose gs base leads to no block of sysload's, so that there is no stack for it but that one.
// Nothing of it is needed any more.
        LABEL   sysload_serve_lost
        TAKE_LOCK
        leaq    sysload_serve_stack+SYSLOAD_SERVE_STACK_SIZE(%rip), %rsp
        pushq   $0x202                  // neither DF nor AC
        popfq
        call    sysload_end_lost
        hlt

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
        pushq   $0x202                  // neither DF nor AC
        popfq
        TAKE_LOCK
        movq    %rsp, %rbx
        movq    %rsp, %rdi
        leaq    sysload_serve_stack+SYSLOAD_SERVE_STACK_SIZE(%rip), %rsp
        call    sysload_serve_frame     // eax: 1 where the call is answered
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
        TABLE   .Ltable, SYSLOAD_NR_OPEN, SYSLOAD_NR_STAT, SYSLOAD_NR_ACCESS, SYSLOAD_NR_OPENAT, SYSLOAD_NR_NEWFSTATAT, SYSLOAD_NR_FACCESSAT, SYSLOAD_NR_STATX, SYSLOAD_NR_OPENAT2, SYSLOAD_NR_FACCESSAT2, SYSLOAD_NR_MMAP, SYSLOAD_NR_MUNMAP, SYSLOAD_NR_READLINK, SYSLOAD_NR_READLINKAT, SYSLOAD_NR_EXECVE, SYSLOAD_NR_EXECVEAT, SYSLOAD_NR_SETPGID, SYSLOAD_NR_CLOSE, SYSLOAD_NR_DUP2, SYSLOAD_NR_DUP3, SYSLOAD_NR_CLOSE_RANGE, SYSLOAD_NR_CLONE, SYSLOAD_NR_CLONE3, SYSLOAD_NR_UNSHARE, SYSLOAD_NR_SETNS, SYSLOAD_NR_RT_SIGACTION, SYSLOAD_NR_RT_SIGRETURN, OTHER_PATHS_IN_RSI_1, OTHER_PATHS_IN_RSI_2, OTHER_PATHS_IN_RDI, OTHER_PATHS
        .p2align 3
.Lall:  .quad   -1
.Lpause:
        .quad   0, SYSLOAD_LOCK_PAUSE
