// What sysload's assembler and its C++ both know: offsets into the loader's state, and the numbers
// of the few system calls that the assembler issues itself. state.cc asserts the offsets.
#ifndef SYSREWRITE_LOADER_ABI_H_
#define SYSREWRITE_LOADER_ABI_H_

#include "trampoline/layout.h"

#define SYSLOAD_STATE_ENTRY 0          // u64: where the program (or its interpreter) starts
#define SYSLOAD_STATE_OBJECTS_LOW 8    // u64: below the lowest library with a trampoline
#define SYSLOAD_STATE_OBJECTS_HIGH 16  // u64: above the base of the highest

#define SYSLOAD_STATE_EXE_SIZE 40          // u32: not 0 where /proc/self/exe is not the program's
#define SYSLOAD_STATE_INTERPRETER_SIZE 44  // u32: of the stubs of an ld.so; 0: there are none
#define SYSLOAD_STATE_DOOR 48  // u32: minus the number of the door (serve/door.h); 0: there is none
#define SYSLOAD_STATE_WRITES_GS 52  // u32: 1 where wrgsbase may be executed
#define SYSLOAD_STATE_INTEREST 24   // u64: 65,536 bytes, one for each number; a multiple of 64 KiB
#define SYSLOAD_STATE_FREE_BLOCKS 32  // u64: the first block that no thread has

// A thread's block (thread_block.h), as hook_entry.S knows it, from %gs:0.
#define SYSLOAD_BLOCK_SELF 0       // u64: the block's own address
#define SYSLOAD_BLOCK_STACK 8      // u64: the end of the hook stack, where the block begins
#define SYSLOAD_BLOCK_RSP 16       // u64: the program's, 128 lower
#define SYSLOAD_BLOCK_PENDING 24   // u32: not 0 where leaving takes more than a jump
#define SYSLOAD_BLOCK_TID 28       // u32: whose block it is; 0: nobody's
#define SYSLOAD_BLOCK_MARK 32      // u64: the mark; 1 more where it has an alternate signal stack
#define SYSLOAD_BLOCK_ALT_LOW 40   // u64
#define SYSLOAD_BLOCK_ALT_SIZE 48  // u64: bytes
#define SYSLOAD_BLOCK_CHILD 56     // u64: the block of the thread that is being made; 0: none
#define SYSLOAD_BLOCK_RAX 64       // u64, and so on: the program's, from entry to leaving
#define SYSLOAD_BLOCK_RDI 72
#define SYSLOAD_BLOCK_RSI 80
#define SYSLOAD_BLOCK_RDX 88
#define SYSLOAD_BLOCK_R10 96
#define SYSLOAD_BLOCK_R8 104
#define SYSLOAD_BLOCK_R9 112
#define SYSLOAD_BLOCK_FLAGS 120
#define SYSLOAD_BLOCK_TAIL 128  // u64: the native tail of the call's stub
#define SYSLOAD_BLOCK_RBX 136
#define SYSLOAD_BLOCK_LAHF 144       // u64: ah and al of lahf and seto, while flags are compared
#define SYSLOAD_BLOCK_MASK 152       // u64: the program's signal mask, while all are blocked
#define SYSLOAD_BLOCK_LEAVE_RAX 160  // u64, and so on: what leaving puts into the registers
#define SYSLOAD_BLOCK_LEAVE_RCX 168  // where it goes
#define SYSLOAD_BLOCK_LEAVE_R11 176
#define SYSLOAD_BLOCK_LEAVE_RSP 184
#define SYSLOAD_BLOCK_RESULT 192  // u64: the kernel's
#define SYSLOAD_BLOCK_NEXT 200    // u64: in the list of those that no thread has

// The call as hooks see it (sysload_call): number, six arguments, result, stack pointer, origin.
#define SYSLOAD_BLOCK_CALL 216
#define SYSLOAD_CALL_ARGUMENT (SYSLOAD_BLOCK_CALL + 8)
#define SYSLOAD_CALL_STACK_POINTER (SYSLOAD_BLOCK_CALL + 64)
#define SYSLOAD_CALL_ORIGIN (SYSLOAD_BLOCK_CALL + 72)
#define SYSLOAD_CALL_RESULT (SYSLOAD_BLOCK_CALL + 56)
#define SYSLOAD_CALL_SCRATCH (SYSLOAD_BLOCK_CALL + 80)

// Where there is but one hook: itself, its entry(), and the thread as it is shown.
#define SYSLOAD_BLOCK_HOOK 328
#define SYSLOAD_BLOCK_HOOK_ENTRY 336
#define SYSLOAD_BLOCK_THREAD 344       // sysload_thread
#define SYSLOAD_BLOCK_INTEREST 360     // u64: in the call's number, as the table has it
#define SYSLOAD_BLOCK_RUNNING 368      // u32: which hook is, plus 1; 0: none
#define SYSLOAD_BLOCK_CALL_MEMORY 372  // u32: bytes of it that are used
#define SYSLOAD_BLOCK_ASKED 376        // u32: how many hooks have seen the call
#define SYSLOAD_BLOCK_EXITS 380        // u32: 1 where they are to see its end
#define SYSLOAD_BLOCK_HOOK_EXIT 384    // the one hook's exit()
#define SYSLOAD_BLOCK_I386_RETURN \
  392  // u64: behind the `int $0x80` that sysload makes (exhaustive.S)
#define SYSLOAD_BLOCK_UNDER_WAY \
  400  // u32: 1 where a call is, and any handler may run (kept_calls.h)

// The vectors' area, where they are kept by moves (vectors.S). The registers come first, 64 bytes
// each.
#define SYSLOAD_VECTORS_MASKS 2048  // u64[8]
#define SYSLOAD_VECTORS_MXCSR 2112  // u32, and another for what the hook has left
#define SYSLOAD_VECTORS_UPPER 2120  // u16: not 0 where an upper half is not zero

// Bits of the table's bytes (hook_set.h). Simple: there is one hook, and sysload itself has nothing
// to do with the call, so that no C++ is needed.
#define SYSLOAD_INTEREST_ENTRY 1
#define SYSLOAD_INTEREST_EXIT 2
#define SYSLOAD_INTEREST_SERVICE 4
#define SYSLOAD_INTEREST_SIMPLE 8

// Bytes below a hook stack's end that are its own, the guard included.
#define SYSLOAD_HOOK_REGION 0xf000

// Bits of SYSLOAD_BLOCK_PENDING.
#define SYSLOAD_PENDING_SIGNAL 0x1     // one came while a hook ran, and all are blocked
#define SYSLOAD_PENDING_BLOCKED 0x100  // all signals are blocked; MASK is the program's mask

// What sysload_hook_enter answers.
#define SYSLOAD_HOOK_LEAVE 0
#define SYSLOAD_HOOK_CLONE 1
#define SYSLOAD_HOOK_EXIT 2

// What sysload_on_signal answers where no handler is to run: the interrupted code goes on, in the
// runtime or in the program. No handler has such an address.
#define SYSLOAD_SIGNAL_TO_RUNTIME 0
#define SYSLOAD_SIGNAL_TO_PROGRAM 1

// How a call is left where any handler may run: on the program's stack, below its red zone.
#define SYSLOAD_LEAVING_FLAGS 0
#define SYSLOAD_LEAVING_MASK 8
#define SYSLOAD_LEAVING_RDI 16
#define SYSLOAD_LEAVING_RSI 24
#define SYSLOAD_LEAVING_RDX 32
#define SYSLOAD_LEAVING_R10 40
#define SYSLOAD_LEAVING_R8 48
#define SYSLOAD_LEAVING_R9 56
#define SYSLOAD_LEAVING_RAX 64
#define SYSLOAD_LEAVING_R11 72
#define SYSLOAD_LEAVING_RCX 80
#define SYSLOAD_LEAVING_RSP 88
#define SYSLOAD_LEAVING_SIZE 96

// The mark of a block, as a number of 64 bits, negated: hardly anything else that a gs base may
// lead to has it.
#define SYSLOAD_MINUS_MARK 0x3a2c5b1d
// Flags that C code must not run with, and that sahf does not give back: DF and AC.
// Source: Intel SDM vol. 1, 3.4.3.
#define SYSLOAD_ODD_FLAGS 0x40400
// TF: pushfq shows it to whom a debugger steps, and popfq would keep it set for ever.
#define SYSLOAD_TRAP_FLAG 0x100
#define SYSLOAD_ARCH_SET_GS 0x1001
#define SYSLOAD_NR_ARCH_PRCTL 158

// The words by which a signal knows what it has interrupted (handlers.h). The mark is the address
// plus the kind plus this number.
#define SYSLOAD_INTERLUDE_MARK 0
#define SYSLOAD_INTERLUDE_WHAT 8
#define SYSLOAD_INTERLUDE_RDI 16
#define SYSLOAD_INTERLUDE_RSI 24
#define SYSLOAD_INTERLUDE_RDX 32
#define SYSLOAD_INTERLUDE_LOG 40
#define SYSLOAD_INTERLUDE_SIZE 104
#define SYSLOAD_WRAPPER_FLAGS 112
#define SYSLOAD_WRAPPER_SIZE 120
#define SYSLOAD_INTERLUDE_R10 104
#define SYSLOAD_INTERLUDE_R8 112
#define SYSLOAD_INTERLUDE_R9 120
#define SYSLOAD_INTERLUDE_RESULT 128
#define SYSLOAD_INTERLUDE_IS_MADE 136
#define SYSLOAD_INTERLUDE_GIVEN 144
#define SYSLOAD_INTERLUDE_RBX 176
#define SYSLOAD_INTERLUDE_RBP 184
#define SYSLOAD_INTERLUDE_R12 192
#define SYSLOAD_INTERLUDE_R13 200
#define SYSLOAD_INTERLUDE_R14 208
#define SYSLOAD_INTERLUDE_R15 216
#define SYSLOAD_INTERLUDE_FLAGS 224
#define SYSLOAD_ACTION_SIZE 232
#define SYSLOAD_INTERLUDE_MAGIC 0x5f6c7d1e9a3b8c40
#define SYSLOAD_IS_HANDLER 0
#define SYSLOAD_IS_SIGRETURN 1
#define SYSLOAD_IS_ACTION 2

// No more than this much of C++ lies below an interlude. Of signals that come at once, each strikes
// the thunk of the one before, and is mended by a recursion.
#define SYSLOAD_MOST_INTERLUDE_STACK 32768

// Different handlers that a program may have, at once or one after the other, and the bytes of the
// code that stands for each.
#define SYSLOAD_MOST_HANDLERS 1024
#define SYSLOAD_HANDLER_SIZE 10

// What glibc's ld.so maps libraries with: MAP_PRIVATE, MAP_DENYWRITE, and MAP_FIXED. Source: glibc,
// include/sys/mman.h, MAP_COPY.
#define SYSLOAD_MAP_LIBRARY 0x802
#define SYSLOAD_MAP_LIBRARY_FIXED 0x812

// The word of the slot's page that the callback beside it reads.
#define SYSLOAD_SLOT_SPECIAL 8

// CallFrame (serve.h): the words that a served call leaves on the program's stack.
#define SYSLOAD_FRAME_RBX 0
#define SYSLOAD_FRAME_FLAGS 8
#define SYSLOAD_FRAME_MASK 16
#define SYSLOAD_FRAME_R9 24
#define SYSLOAD_FRAME_R8 32
#define SYSLOAD_FRAME_R10 40
#define SYSLOAD_FRAME_RDX 48
#define SYSLOAD_FRAME_RSI 56
#define SYSLOAD_FRAME_RDI 64
#define SYSLOAD_FRAME_RAX 72
#define SYSLOAD_FRAME_TAIL 80
#define SYSLOAD_FRAME_SIZE 88

#define SYSLOAD_SERVE_STACK_SIZE 32768
#define SYSLOAD_FOLLOW_MEMORY_SIZE 32768
#define SYSLOAD_PAGE_SIZE 4096

// How long whoever waits for a lock of sysload's sleeps before he looks again, in nanoseconds.
#define SYSLOAD_LOCK_PAUSE 50000

// Source: linux, arch/x86/entry/syscalls/syscall_64.tbl.
#define SYSLOAD_NR_WRITE 1
#define SYSLOAD_NR_OPEN 2
#define SYSLOAD_NR_STAT 4
#define SYSLOAD_NR_ACCESS 21
#define SYSLOAD_NR_OPENAT 257
#define SYSLOAD_NR_NEWFSTATAT 262
#define SYSLOAD_NR_FACCESSAT 269
#define SYSLOAD_NR_STATX 332
#define SYSLOAD_NR_OPENAT2 437
#define SYSLOAD_NR_FACCESSAT2 439
#define SYSLOAD_NR_CREAT 85
#define SYSLOAD_NR_TRUNCATE 76
#define SYSLOAD_NR_CHMOD 90
#define SYSLOAD_NR_CHOWN 92
#define SYSLOAD_NR_UTIME 132
#define SYSLOAD_NR_STATFS 137
#define SYSLOAD_NR_MOUNT 165
#define SYSLOAD_NR_UMOUNT2 166
#define SYSLOAD_NR_SETXATTR 188
#define SYSLOAD_NR_GETXATTR 191
#define SYSLOAD_NR_LISTXATTR 194
#define SYSLOAD_NR_REMOVEXATTR 197
#define SYSLOAD_NR_UTIMES 235
#define SYSLOAD_NR_INOTIFY_ADD_WATCH 254
#define SYSLOAD_NR_FCHOWNAT 260
#define SYSLOAD_NR_FUTIMESAT 261
#define SYSLOAD_NR_LINKAT 265
#define SYSLOAD_NR_FCHMODAT 268
#define SYSLOAD_NR_UTIMENSAT 280
#define SYSLOAD_NR_FANOTIFY_MARK 301
#define SYSLOAD_NR_NAME_TO_HANDLE_AT 303
#define SYSLOAD_NR_OPEN_TREE 428
#define SYSLOAD_NR_MOVE_MOUNT 429
#define SYSLOAD_NR_FSPICK 433
#define SYSLOAD_NR_MOUNT_SETATTR 442
#define SYSLOAD_NR_FCHMODAT2 452
#define SYSLOAD_NR_SETXATTRAT 463
#define SYSLOAD_NR_GETXATTRAT 464
#define SYSLOAD_NR_LISTXATTRAT 465
#define SYSLOAD_NR_REMOVEXATTRAT 466
#define SYSLOAD_NR_OPEN_TREE_ATTR 467
#define SYSLOAD_NR_FILE_GETATTR 468
#define SYSLOAD_NR_FILE_SETATTR 469
#define SYSLOAD_NR_MMAP 9
#define SYSLOAD_NR_MUNMAP 11
#define SYSLOAD_NR_READLINK 89
#define SYSLOAD_NR_READLINKAT 267
#define SYSLOAD_NR_EXECVE 59
#define SYSLOAD_NR_EXECVEAT 322
#define SYSLOAD_NR_SETPGID 109
#define SYSLOAD_NR_CLOSE 3
#define SYSLOAD_NR_FSTAT 5
#define SYSLOAD_NR_BRK 12
#define SYSLOAD_NR_SCHED_YIELD 24
#define SYSLOAD_NR_RECVFROM 45
#define SYSLOAD_NR_RECVMSG 47
#define SYSLOAD_NR_IO_GETEVENTS 208
#define SYSLOAD_NR_IO_SUBMIT 209
#define SYSLOAD_NR_IOCTL 16
#define SYSLOAD_NR_DUP2 33
#define SYSLOAD_NR_DUP3 292
#define SYSLOAD_NR_CLOSE_RANGE 436
#define SYSLOAD_NR_CLONE 56
#define SYSLOAD_NR_CLONE3 435
#define SYSLOAD_NR_UNSHARE 272
#define SYSLOAD_NR_SETNS 308
#define SYSLOAD_NR_RT_SIGACTION 13
#define SYSLOAD_NR_RT_SIGPROCMASK 14
#define SYSLOAD_NR_RT_SIGRETURN 15
#define SYSLOAD_NR_NANOSLEEP 35
#define SYSLOAD_NR_EXIT 60
#define SYSLOAD_NR_PRCTL 157
#define SYSLOAD_NR_GETTID 186

// Source: linux, include/uapi/linux/prctl.h.
#define SYSLOAD_PR_SET_SYSCALL_USER_DISPATCH 59
#define SYSLOAD_PR_SYS_DISPATCH_ON 1

#define SYSLOAD_CLONE_CHILD_SETTID 1  // in the highest byte of the flags: linux, uapi/linux/sched.h

#define SYSLOAD_SIG_SETMASK 2
#define SYSLOAD_SIGSET_SIZE 8

#endif  // SYSREWRITE_LOADER_ABI_H_
