// Calls by which a thread sees signals that it has blocked.
//
// Of a signal that is held (held_signals.h) the kernel has but a poke for such a thread. To poll,
// select, epoll and sigpending it is as good as the signal. What is read of a signalfd tells of the
// sender, so there the poke gives way to what is held.
#ifndef SYSREWRITE_LOADER_SIGNALS_PENDING_VIEW_H_
#define SYSREWRITE_LOADER_SIGNALS_PENDING_VIEW_H_

#include "loader/thread_block.h"

namespace sysrewrite {

// Whether a call of this number may see what is pending, or opens signals for its own time.
bool looks_at_pending(uint64_t number);

// Behind the call. False: it has read of pokes alone, and what they led to others have taken
// meanwhile, so it is to be made again.
bool take_what_was_read(ThreadBlock* block);

// Behind a call that has shown a signal to be pending, or has sent one to the process: it is held,
// wherever the kernel gives it meanwhile. Before the mask is taken back.
void keep_what_is_shown(ThreadBlock* block);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_PENDING_VIEW_H_
