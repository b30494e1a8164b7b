// The handlers of a program without hooks. It sees itself in them as if nobody had rewritten it: no
// address of a stub, a springboard or sysload, no register that those have used.
#ifndef SYSREWRITE_LOADER_SIGNALS_HANDLERS_H_
#define SYSREWRITE_LOADER_SIGNALS_HANDLERS_H_

#include <array>
#include <cstdint>

#include "loader/abi.h"
#include "loader/signals/signal_frame.h"

namespace sysrewrite {

// Written by rt_sigaction, read by handlers. But for the first six, which stand in for those that
// there is no room for, an entry never changes.
struct Handlers {
  // Each with the thunk of its index: a handler, or the index of what the program has said of a
  // signal that sysload handles, too; 0: the entry is free.
  std::array<uint64_t, SYSLOAD_MOST_HANDLERS> table;
  std::array<KernelSigaction, 64> said;
  uint64_t said_count;
  uint64_t replaced_count;  // of the first six
};

// Where the signal has struck in code of sysload's or in a stub, the frame is made one of the
// program. For signals of programs with hooks, whose runtime has been left already.
void leave_runtime(const Signal& signal);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_HANDLERS_H_
