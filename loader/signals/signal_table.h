// What a program has set for each signal.
#ifndef SYSREWRITE_LOADER_SIGNALS_SIGNAL_TABLE_H_
#define SYSREWRITE_LOADER_SIGNALS_SIGNAL_TABLE_H_

#include "loader/signals/signal_frame.h"

namespace sysrewrite {

// As it set them: the kernel has been given others. Threads share one table; a child that shares
// memory alone (vfork) has its own.
struct SignalTable {
  KernelSigaction action[65];  // by number
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_SIGNAL_TABLE_H_
