// What a thread sends to another one of its process.
//
// The kernel keeps one signal of a number for a thread. While a trap, or a caught call, is pending
// for that thread, it drops one of the same number that somebody sends to it; natively there would
// be nothing to keep. So what a thread sends is held for the other one (held_signals.h).
#ifndef SYSREWRITE_LOADER_SIGNALS_AIMED_SIGNALS_H_
#define SYSREWRITE_LOADER_SIGNALS_AIMED_SIGNALS_H_

#include <cstdint>

#include "loader/thread_block.h"

namespace sysrewrite {

// Whether the call under way, tkill, tgkill or rt_tgsigqueueinfo, is such a one, of an open signal
// (program_mask.h): it has its answer in `*result`. All others are the kernel's.
bool send_to_thread(ThreadBlock* block, int64_t* result);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_AIMED_SIGNALS_H_
