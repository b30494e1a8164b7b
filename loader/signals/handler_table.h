// Which handler a thunk stands for. An entry is made without a lock and never changes, so a child
// that shares memory, or a thread that sets another handler at the same time, changes nothing for
// others.
#ifndef SYSREWRITE_LOADER_SIGNALS_HANDLER_TABLE_H_
#define SYSREWRITE_LOADER_SIGNALS_HANDLER_TABLE_H_

#include <cstdint>

#include "loader/abi.h"
#include "loader/signals/signal_frame.h"

namespace sysrewrite {

// Instead of an index: there is none.
inline constexpr uint64_t kNoThunk = SYSLOAD_MOST_HANDLERS;

// Called once.
void start_handler_table();

// The index of the thunk that stands for this handler, or kNoThunk, as for what can be no handler's
// address.
uint64_t thunk_for(uint64_t handler);

// The index of the one that stands for all that has been said of this signal, for which sysload has
// a handler of its own. There is always one: where the table is full, it is one that stood for
// something else before.
uint64_t thunk_for_said(uint64_t signal, const KernelSigaction& said);

uint64_t address_of_thunk(uint64_t index);
bool is_thunk(uint64_t handler);
uint64_t index_of_thunk(uint64_t handler);

// What this thunk stands for: all of it, or the handler alone.
KernelSigaction said_by(uint64_t index);
bool has_said_all(uint64_t index);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_HANDLER_TABLE_H_
