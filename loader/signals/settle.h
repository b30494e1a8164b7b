// Where a signal has struck: a frame of the kernel's becomes one that the program could have got.
#ifndef SYSREWRITE_LOADER_SIGNALS_SETTLE_H_
#define SYSREWRITE_LOADER_SIGNALS_SETTLE_H_

#include "loader/signals/interlude.h"
#include "loader/signals/signal_frame.h"

namespace sysrewrite {

// Does what the log says. To be called first by whoever may have been interrupted.
void apply(Log& log);

// Brings the frame's registers out of stubs, callbacks and all that stands between them and the
// kernel, and an address in the siginfo along with rip. Can be interrupted at any instruction, and
// is then begun again.
void settle(Log& log, const Signal& signal);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_SETTLE_H_
