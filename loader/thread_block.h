// What each thread has of its own while hooks are in use: a stack for them, and the state of the
// one system call that it is making.
//
//   lowest   +-----------------------+
//            | guard, no access      |  4 KiB
//            +-----------------------+
//            | hook stack            |  56 KiB, used from its end
//   %gs:0    +-----------------------+
//            | ThreadBlock           |  16 KiB
//            +-----------------------+
//            | memory of one call    |  16 KiB
//            +-----------------------+
//            | fault stack           |  16 KiB, where a hook has used up its own
//            +-----------------------+
//
// A thread finds its block through its gs base, which 64-bit programs leave alone: the one
// register that says nothing to them, survives every system call and costs nothing to read. A new
// thread inherits the base of its parent's, so it gets its own before any code of the program's
// runs; until then all signals are blocked. A program that sets the gs base itself is told that it
// cannot have both.
//
// One invariant makes the rest simple: a block is in use by at most one call, since no code of the
// program's runs while one is under way. A signal that arrives meanwhile is put off, or the call is
// finished or undone first (struck.h). Where native code may handle signals, of which sysload is
// not asked, a call that a handler makes finds the block in use, and gives it back (kept_calls.h).
#ifndef SYSREWRITE_LOADER_THREAD_BLOCK_H_
#define SYSREWRITE_LOADER_THREAD_BLOCK_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "loader/abi.h"
#include "loader/include/sysload/hook.h"
#include "loader/signals/signal_frame.h"
#include "loader/signals/signal_table.h"
#include "trampoline/output_ring.h"

namespace sysrewrite {

inline constexpr uint64_t kBlockGuard = 4096, kBlockStack = 57344, kBlockSize = 16384,
                          kFaultStack = 16384;

// As the program called, in the order of the block's fields.
struct CallRegisters {
  uint64_t rax, rdi, rsi, rdx, r10, r8, r9;
};

struct KeptCall;

struct ThreadBlock {
  ThreadBlock* self;
  uint64_t stack;
  uint64_t rsp;
  uint32_t pending;
  uint32_t tid;
  uint64_t mark, alt_low, alt_size;
  ThreadBlock* child;
  CallRegisters registers;
  uint64_t flags, tail, rbx, lahf, mask;
  uint64_t leave_rax, leave_rcx, leave_r11, leave_rsp;
  uint64_t result;
  ThreadBlock* next;
  ThreadBlock* all_next;  // in the list of all

  // The call under way.
  sysload_call call;  // as hooks see it
  sysload_hook* hook;
  sysload_verdict (*hook_entry)(sysload_hook*, sysload_thread*, sysload_call*);
  sysload_thread thread;
  uint64_t interest;
  uint32_t running;           // RunningHook::word
  uint32_t call_memory_used;  // bytes
  uint32_t asked;             // how many hooks have seen it
  uint32_t exits;             // 1 where hooks are to see its end
  void (*hook_exit)(sysload_hook*, sysload_thread*, sysload_call*);
  uint64_t i386_return;
  uint32_t under_way;        // 1 where a call is, and any handler may run (kept_calls.h)
  bool shares_thread_group;  // what is being cloned
  bool clears_handlers;      // likewise; and in it, until it has begun
  uint32_t watched;          // this thread's entry in the ring's table, plus 1; 0: none
  bool is_child_of_vfork;    // shares memory with a thread that waits for it
  bool is_foreign;           // made by code that nobody rewrote (foreign_threads.h)
  bool has_fault_stack;      // it is the kernel's alternate stack, since the program has none
  int32_t no_stack_flags;    // ss_flags in the frames of a thread that has no alternate stack: 0 up
                             // to the first one, SS_DISABLE from then on and in new threads
  bool opens_faults;         // against what `mask` says (signals.h)
  bool lends;                // the kernel has the program's mask (program_mask.h)
  bool looks;                // its call may see what is pending (pending_view.h)
  bool was_poked_in_vain;    // during it
  bool has_no_pokes;         // NoPokes (held_signals.h)
  bool steps;                // by TF, and is to go on with it once the runtime is left
  uint64_t masked;           // of the open signals, those that the program has blocked
  uint64_t awaits;           // of them, those that its call waits for
  uint64_t trap, trap_error;   // the program's last fault, as a context names it; 0: none yet
  HeldSignal held[2];          // SIGTRAP, SIGSYS: sent to this thread while it had blocked them
  KernelSiginfo awaited_info;  // of a call that waits for one of them, in the place of the one that
  uint64_t asked_info;         // the program has named; 0: none
  uint64_t scratch[SYSLOAD_MOST_HOOKS][4];
  std::array<KernelSiginfo, 16> put_off;  // the oldest first; signo 0: free, like all behind it
  KeptCall* kept;                         // room for kMostKeptCalls of them; nullptr: none yet
  uint32_t kept_count;                    // calls that others have interrupted, the oldest first

  SignalTable* signals;
  alignas(16) std::byte thread_memory[SYSLOAD_THREAD_MEMORY];
  SignalTable own_signals;
  alignas(64) std::byte vectors[8192];  // XSAVE area, where a hook says that it needs it
};
static_assert(sizeof(ThreadBlock) <= kBlockSize);
static_assert(kBlockStack + kBlockGuard == SYSLOAD_HOOK_REGION);
static_assert(offsetof(ThreadBlock, self) == SYSLOAD_BLOCK_SELF);
static_assert(offsetof(ThreadBlock, stack) == SYSLOAD_BLOCK_STACK);
static_assert(offsetof(ThreadBlock, rsp) == SYSLOAD_BLOCK_RSP);
static_assert(offsetof(ThreadBlock, pending) == SYSLOAD_BLOCK_PENDING);
static_assert(offsetof(ThreadBlock, tid) == SYSLOAD_BLOCK_TID);
static_assert(offsetof(ThreadBlock, mark) == SYSLOAD_BLOCK_MARK);
static_assert(offsetof(ThreadBlock, alt_low) == SYSLOAD_BLOCK_ALT_LOW);
static_assert(offsetof(ThreadBlock, alt_size) == SYSLOAD_BLOCK_ALT_SIZE);
static_assert(offsetof(ThreadBlock, child) == SYSLOAD_BLOCK_CHILD);
static_assert(offsetof(ThreadBlock, registers) == SYSLOAD_BLOCK_RAX);
static_assert(offsetof(ThreadBlock, registers.rdi) == SYSLOAD_BLOCK_RDI);
static_assert(offsetof(ThreadBlock, registers.rsi) == SYSLOAD_BLOCK_RSI);
static_assert(offsetof(ThreadBlock, registers.rdx) == SYSLOAD_BLOCK_RDX);
static_assert(offsetof(ThreadBlock, registers.r10) == SYSLOAD_BLOCK_R10);
static_assert(offsetof(ThreadBlock, registers.r8) == SYSLOAD_BLOCK_R8);
static_assert(offsetof(ThreadBlock, registers.r9) == SYSLOAD_BLOCK_R9);
static_assert(offsetof(ThreadBlock, flags) == SYSLOAD_BLOCK_FLAGS);
static_assert(offsetof(ThreadBlock, tail) == SYSLOAD_BLOCK_TAIL);
static_assert(offsetof(ThreadBlock, rbx) == SYSLOAD_BLOCK_RBX);
static_assert(offsetof(ThreadBlock, lahf) == SYSLOAD_BLOCK_LAHF);
static_assert(offsetof(ThreadBlock, mask) == SYSLOAD_BLOCK_MASK);
static_assert(offsetof(ThreadBlock, leave_rax) == SYSLOAD_BLOCK_LEAVE_RAX);
static_assert(offsetof(ThreadBlock, leave_rcx) == SYSLOAD_BLOCK_LEAVE_RCX);
static_assert(offsetof(ThreadBlock, leave_r11) == SYSLOAD_BLOCK_LEAVE_R11);
static_assert(offsetof(ThreadBlock, leave_rsp) == SYSLOAD_BLOCK_LEAVE_RSP);
static_assert(offsetof(ThreadBlock, result) == SYSLOAD_BLOCK_RESULT);
static_assert(offsetof(ThreadBlock, next) == SYSLOAD_BLOCK_NEXT);
static_assert(offsetof(ThreadBlock, call) == SYSLOAD_BLOCK_CALL);
static_assert(offsetof(ThreadBlock, call.argument) == SYSLOAD_CALL_ARGUMENT);
static_assert(offsetof(ThreadBlock, call.stack_pointer) == SYSLOAD_CALL_STACK_POINTER);
static_assert(offsetof(ThreadBlock, call.origin) == SYSLOAD_CALL_ORIGIN);
static_assert(offsetof(ThreadBlock, call.scratch) == SYSLOAD_CALL_SCRATCH);
static_assert(offsetof(ThreadBlock, hook) == SYSLOAD_BLOCK_HOOK);
static_assert(offsetof(ThreadBlock, hook_entry) == SYSLOAD_BLOCK_HOOK_ENTRY);
static_assert(offsetof(ThreadBlock, thread) == SYSLOAD_BLOCK_THREAD);
static_assert(offsetof(ThreadBlock, interest) == SYSLOAD_BLOCK_INTEREST);
static_assert(offsetof(ThreadBlock, running) == SYSLOAD_BLOCK_RUNNING);
static_assert(offsetof(ThreadBlock, call_memory_used) == SYSLOAD_BLOCK_CALL_MEMORY);
static_assert(offsetof(ThreadBlock, asked) == SYSLOAD_BLOCK_ASKED);
static_assert(offsetof(ThreadBlock, exits) == SYSLOAD_BLOCK_EXITS);
static_assert(offsetof(ThreadBlock, hook_exit) == SYSLOAD_BLOCK_HOOK_EXIT);
static_assert(offsetof(ThreadBlock, i386_return) == SYSLOAD_BLOCK_I386_RETURN);
static_assert(offsetof(ThreadBlock, under_way) == SYSLOAD_BLOCK_UNDER_WAY);
static_assert(offsetof(ThreadBlock, call.result) == SYSLOAD_CALL_RESULT);
static_assert(offsetof(ThreadBlock, running) - offsetof(ThreadBlock, call) ==
              offsetof(WatchedCall, running));

// A block that no thread has: from the list, or new. nullptr where there is no memory. All signals
// are blocked, so that whoever holds the list's lock goes on.
ThreadBlock* take_block();
// Gives it back. What was in it is forgotten by take_block().
void give_back(ThreadBlock* block);
// In a forked child: the other threads are not there, and their blocks are free.
void give_back_all_but(ThreadBlock* own);

// The blocks of threads that have ended without a word: by code that nobody rewrote. Returns how
// many there are of others. As many system calls as there are threads.
uint32_t give_back_of_the_dead();

// Notes whose block it is: the calling thread's.
void name_thread(ThreadBlock* block);

// Whether the program has an alternate signal stack. What each call begins with looks at the mark
// anyway.
bool has_alternate_stack(const ThreadBlock& block);
void set_has_alternate_stack(ThreadBlock* block, bool has);

// Whether the gs base leads to no block: the program has set it, by an instruction. Memory that it
// leads to is not looked at where no block is near.
bool has_lost_block();
// A program that sets it cannot have what finds threads by it.
[[noreturn]] void refuse_gs_base();

// Makes it the calling thread's, which ends the process where that cannot be.
void set_own_block(ThreadBlock* block);
// Gives the calling thread, the first one, its block.
ThreadBlock* start_first_block();

// On the hook stack, which is not in use, while all signals are blocked.
extern "C" [[gnu::visibility("hidden")]] void sysload_call_on_hook_stack(
    void (*function)(ThreadBlock*), ThreadBlock* block);

// The calling thread's block.
inline ThreadBlock* own_block() {
  uint64_t self = 0;
  asm volatile("movq %%gs:0, %0" : "=r"(self));
  return Memory::at<ThreadBlock>({self});
}

inline bool is_on_hook_stack(const ThreadBlock& block, uint64_t stack_pointer) {
  return block.stack - stack_pointer <= SYSLOAD_HOOK_REGION;
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_THREAD_BLOCK_H_
