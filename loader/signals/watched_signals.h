// The signals that sysload takes over in a program without hooks: SIGTRAP for poison, and SIGSEGV
// and SIGBUS where the filter of serve.S reads the program's paths.
#ifndef SYSREWRITE_LOADER_SIGNALS_WATCHED_SIGNALS_H_
#define SYSREWRITE_LOADER_SIGNALS_WATCHED_SIGNALS_H_

#include <cstdint>

#include "loader/signals/interlude.h"
#include "loader/signals/signal_frame.h"
#include "trampoline/address.h"

namespace sysrewrite {

// Takes them over. What they did before, they do for signals that have not come from there. Called
// once, before the program starts.
void watch_signals();

// Whether sysload has to see this signal, whatever the program makes of it.
bool is_watched(uint64_t signal);

// Whether the frame and its siginfo are those of a trap or fault of sysload's own doing, and where
// the program goes on then: it has met poison, or the filter of serve.S has read a path that is not
// there, of which the kernel is to say so.
bool is_own(uint64_t signal, uint64_t info, uint64_t context, RuntimeAddr* next);

// Sends the frame of such a one on its way, and says so in `what`.
void decide_on_own(Interlude& wrapper);

// SA_RESETHAND, which the kernel is not told of a signal that is watched.
void reset_if_asked(uint64_t signal, const KernelSigaction& said);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_WATCHED_SIGNALS_H_
