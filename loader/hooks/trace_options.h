// The options of the trace hook.
#ifndef LOADER_HOOKS_TRACE_OPTIONS_H_
#define LOADER_HOOKS_TRACE_OPTIONS_H_

#include "loader/hooks/trace_filter.h"

namespace sysrewrite::trace {

struct Options {
  CallSet calls;          // filter=EXPRESSION, all without it
  uint32_t string_limit;  // string-limit=BYTES
  bool time;              // time: when each call began, behind the process number
  bool spent;             // spent: how long it took, at the end of the line
};

// Refuses what is wrong by api->fail, which does not return.
void read_options(sysload_hook* hook, Options& options);

}  // namespace sysrewrite::trace

#endif  // LOADER_HOOKS_TRACE_OPTIONS_H_
