// Which of a call's arguments are printed before it, and which behind it.
#ifndef LOADER_HOOKS_TRACE_HALVES_H_
#define LOADER_HOOKS_TRACE_HALVES_H_

#include "loader/hooks/trace_printer.h"

namespace sysrewrite::trace {

// What the call is going to overwrite and a later argument shows: a length; or of recvmmsg the
// address of a copy (MessagesBefore), 0 where there is no memory for one.
uint64_t value_before(const sysload_api& api, sysload_call& call, const CallRow& row);

// The arguments from `index` on, to the end or, before the call, to the first that the kernel fills
// in. Returns where it stopped.
unsigned print_arguments(Printer& p, const CallRow& row, unsigned index);

}  // namespace sysrewrite::trace

#endif  // LOADER_HOOKS_TRACE_HALVES_H_
