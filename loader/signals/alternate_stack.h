// The alternate signal stack of a thread: the program's own, or, where it has none, the fault stack
// in its block, of which the program sees nothing.
#ifndef SYSREWRITE_LOADER_SIGNALS_ALTERNATE_STACK_H_
#define SYSREWRITE_LOADER_SIGNALS_ALTERNATE_STACK_H_

#include "loader/signals/signal_frame.h"
#include "loader/thread_block.h"

namespace sysrewrite {

inline constexpr int32_t kStackDisabled = 2;  // SS_DISABLE

// The fault stack is what the kernel takes for a handler that wants an alternate stack, as long as
// the program has none of its own: so that a hook that has used up its stack can be named. Not
// where native files are mapped: their calls would find it (Go's runtime takes it for that of a C
// library), and what they set is not known here.
void offer_fault_stack(ThreadBlock* block);
// Where native files are mapped any stack may be the alternate one: signals are blocked wherever
// rsp is going to be sysload's.
void distrust_stacks(ThreadBlock* block);
void withdraw_fault_stack(ThreadBlock* block);
// Whether a handler's frame lies on it.
bool is_on_fault_stack(const ThreadBlock& block, uint64_t address);
// In the context of a handler of the program's, which is to see that it has no such stack.
void hide_fault_stack(const ThreadBlock& block, KernelUcontext* context);
// Before rt_sigreturn, which sets the alternate stack that the frame names, whoever has written
// that.
void give_back_alternate_stack(ThreadBlock* block, uint64_t frame);
// Asks the kernel for the thread's alternate stack; offers the fault stack where there is none.
void learn_alternate_stack(ThreadBlock* block);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_ALTERNATE_STACK_H_
