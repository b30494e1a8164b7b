// Calls that are interrupted by handlers of which sysload knows nothing.
//
// A handler that native code has set is the kernel's to start: at any instruction, in the midst of
// a call of whose end hooks are to be told, and it may make calls that are rewritten. So where
// native files are mapped
//
//   a call is entered    with all signals blocked, before anything is written to the block
//   it waits             with signals open: ThreadBlock::under_way says that the block is in use
//   another is entered   what the block has of the first is kept, and put back when that one ends
//   it is left           from the program's stack, since its block is another's, or nobody's, as
//                        soon as signals are open
//
// So no hook is entered while it runs, either. It costs two system calls for each call of interest,
// and another one where its end is seen.
//
// A handler may leave for good, by siglongjmp: what was kept of the call that it has interrupted is
// put back in vain, each time, until the oldest is dropped for want of room. Legal in all of this:
// C++ on the hook stack, with all signals blocked.
#ifndef SYSREWRITE_LOADER_SIGNALS_KEPT_CALLS_H_
#define SYSREWRITE_LOADER_SIGNALS_KEPT_CALLS_H_

#include <cstddef>
#include <cstdint>

#include "loader/abi.h"
#include "loader/thread_block.h"

namespace sysrewrite {

// What leaving puts into the registers, in the order in which hook_entry.S takes it.
struct Leaving {
  uint64_t flags, mask, rdi, rsi, rdx, r10, r8, r9, rax, r11, rcx, rsp;
};
static_assert(offsetof(Leaving, flags) == SYSLOAD_LEAVING_FLAGS);
static_assert(offsetof(Leaving, mask) == SYSLOAD_LEAVING_MASK);
static_assert(offsetof(Leaving, rdi) == SYSLOAD_LEAVING_RDI);
static_assert(offsetof(Leaving, rsi) == SYSLOAD_LEAVING_RSI);
static_assert(offsetof(Leaving, rdx) == SYSLOAD_LEAVING_RDX);
static_assert(offsetof(Leaving, r10) == SYSLOAD_LEAVING_R10);
static_assert(offsetof(Leaving, r8) == SYSLOAD_LEAVING_R8);
static_assert(offsetof(Leaving, r9) == SYSLOAD_LEAVING_R9);
static_assert(offsetof(Leaving, rax) == SYSLOAD_LEAVING_RAX);
static_assert(offsetof(Leaving, r11) == SYSLOAD_LEAVING_R11);
static_assert(offsetof(Leaving, rcx) == SYSLOAD_LEAVING_RCX);
static_assert(offsetof(Leaving, rsp) == SYSLOAD_LEAVING_RSP);
static_assert(sizeof(Leaving) == SYSLOAD_LEAVING_SIZE);

// Puts what the block says of leaving below the program's red zone. Returns its address.
uint64_t put_on_stack(const ThreadBlock& block);

// The call that the block has is over, or has left it: it is free, or that of the call that was
// interrupted.
void end_kept_call(ThreadBlock* block);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_KEPT_CALLS_H_
