// Signals that have struck where they cannot be handled: each is sent to its thread once more, and
// arrives as it would have, whatever the kernel can keep of it meanwhile.
#ifndef SYSREWRITE_LOADER_SIGNALS_PUT_OFF_H_
#define SYSREWRITE_LOADER_SIGNALS_PUT_OFF_H_

#include "loader/signals/signal_frame.h"
#include "loader/thread_block.h"

namespace sysrewrite {

// All signals are blocked.
void put_off_signal(ThreadBlock* block, int signal, const KernelSiginfo& info);

// The same of one that is blocked, and that the kernel has delivered before the signal of a trap,
// since it has the si_code of a fault: it is not to look like one again.
void put_back_signal(ThreadBlock* block, int signal, const KernelSiginfo& info);

// One arrives that may have been put off: its siginfo is put back. Where another one of its number
// was put off before it, that one takes its place, and this one is put off.
void recall_signal(ThreadBlock* block, int signal, KernelSiginfo* info);

// The same of what rt_sigtimedwait has taken, which is its result.
void recall_awaited(ThreadBlock* block, int64_t result);

// The program ignores it from now on: what is pending of it is gone. Called
// in the runtime, which is left with all signals blocked, if there is anything to forget.
void forget_put_off(ThreadBlock* block, int signal);
// In a forked child, where nothing is pending.
void forget_all_put_off(ThreadBlock* block);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_PUT_OFF_H_
