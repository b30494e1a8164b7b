// What sysload's assembler and its C++ both know: offsets into the loader's state, and the numbers
// of the few system calls that the assembler issues itself. state.cc asserts the offsets.
#ifndef SYSREWRITE_LOADER_ABI_H_
#define SYSREWRITE_LOADER_ABI_H_

#include "trampoline/layout.h"

#define SYSLOAD_STATE_ENTRY 0       // u64: where the program (or its interpreter) starts
#define SYSLOAD_STATE_TABLE_DIV8 8  // u64: the counters' address divided by 8
#define SYSLOAD_STATE_OWNER_PID 16  // u32: the process that prints
#define SYSLOAD_STATE_EXIT_LOCK 20  // u32: held by the thread that runs on the exit stack
#define SYSLOAD_STATE_NEXT 24       // u64: where the count callback goes on; r11 = the native tail
#define SYSLOAD_STATE_OBJECTS_LOW 32   // u64: below the lowest library with a trampoline
#define SYSLOAD_STATE_OBJECTS_HIGH 40  // u64: above the base of the highest

#define SYSLOAD_STATE_LEAVE 48  // u64: where a call goes that passes; r11 = the native tail
#define SYSLOAD_STATE_SLOTS 56  // u64: the call slots, where there are any

// A call slot (exhaustive.S): what of a call must outlive the system call.
#define SYSLOAD_SLOT_SIZE_LOG2 6
#define SYSLOAD_SLOT_COUNT 4096
#define SYSLOAD_SLOT_OWNER 0     // u64: the slot's own address where it is free
#define SYSLOAD_SLOT_TAIL 8      // u64: the native tail of the call's stub
#define SYSLOAD_SLOT_RBX 16      // u64: the program's
#define SYSLOAD_SLOT_NUMBER 24   // u64: of the call
#define SYSLOAD_SLOT_RAX 32      // u64: its answer, while the flags are put back
#define SYSLOAD_SLOT_SHARERS 40  // u32: how many return from a clone that shares its memory

#define SYSLOAD_EXIT_STACK_SIZE 16384
#define SYSLOAD_SERVE_STACK_SIZE 32768
#define SYSLOAD_FOLLOW_MEMORY_SIZE 32768
#define SYSLOAD_PAGE_SIZE 4096

// Source: linux, arch/x86/entry/syscalls/syscall_64.tbl.
#define SYSLOAD_NR_MMAP 9
#define SYSLOAD_NR_MUNMAP 11
#define SYSLOAD_NR_READLINK 89
#define SYSLOAD_NR_READLINKAT 267
#define SYSLOAD_NR_EXECVE 59
#define SYSLOAD_NR_EXECVEAT 322
#define SYSLOAD_NR_RT_SIGPROCMASK 14
#define SYSLOAD_NR_RT_SIGRETURN 15
#define SYSLOAD_NR_SCHED_YIELD 24
#define SYSLOAD_NR_GETPID 39
#define SYSLOAD_NR_EXIT 60
#define SYSLOAD_NR_CLONE 56
#define SYSLOAD_NR_FORK 57
#define SYSLOAD_NR_VFORK 58
#define SYSLOAD_NR_CLONE3 435
#define SYSLOAD_NR_PRCTL 157
#define SYSLOAD_NR_EXIT_GROUP 231

#define SYSLOAD_CLONE_VM 0x100
#define SYSLOAD_EAGAIN 11
// Source: linux, include/uapi/linux/prctl.h.
#define SYSLOAD_PR_SET_SYSCALL_USER_DISPATCH 59
#define SYSLOAD_PR_SYS_DISPATCH_ON 1

#define SYSLOAD_SIG_SETMASK 2
#define SYSLOAD_SIGSET_SIZE 8

#endif  // SYSREWRITE_LOADER_ABI_H_
