// Where a signal has struck: in the program, in the runtime, or on one of the ways between the two
// (hook_entry.S draws them), and how that becomes a state in which the program could have been.
#ifndef SYSREWRITE_LOADER_SIGNALS_STRUCK_H_
#define SYSREWRITE_LOADER_SIGNALS_STRUCK_H_

#include "loader/signals/signal_frame.h"
#include "loader/thread_block.h"

namespace sysrewrite {

// In the midst of the runtime: on the hook stack, or in a handler of sysload's that does not know
// yet what to do, on a stack of the program's.
bool is_in_runtime(const ThreadBlock& block, const KernelUcontext& context);

// In code of sysload's.
bool is_in_sysload(uint64_t rip);

// At a handler of sysload's own, which another signal has struck before its first instruction.
bool is_at_handler(uint64_t rip);

// From the program to the runtime, where no signal is blocked; and behind the runtime, where none
// is any more, and mend() finishes leaving.
bool is_on_the_way_in(uint64_t rip);
bool is_on_the_way_out(uint64_t rip);

// Right behind a call that was made for hooks to see its end.
bool is_behind_call(uint64_t rip);

// Where the runtime is just being left, the way out begins again: the one that lets through what
// was put off.
void leave_slowly(KernelUcontext* context);

// Brings what was struck, outside of the runtime, into a state that the program could have been in:
// its call has not begun, is undone, or is finished.
void mend(ThreadBlock& block, KernelUcontext& context);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_STRUCK_H_
