// rt_sigaction of a program without hooks: the kernel is given a thunk in the handler's place.
#ifndef SYSREWRITE_LOADER_SIGNALS_ACTION_CALL_H_
#define SYSREWRITE_LOADER_SIGNALS_ACTION_CALL_H_

#include <cstdint>

#include "loader/signals/interlude.h"
#include "loader/signals/signal_frame.h"

namespace sysrewrite {

// The action that the kernel is to be given; false: the program's own.
bool replace_action(uint64_t signal, KernelSigaction* given);

// The kernel has written the old action, with a thunk in it: now it says what the program has said.
void finish_action(const ActionInterlude& action);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_ACTION_CALL_H_
