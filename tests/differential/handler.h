// The signals that functions under test raise: served where they come from poison, kept otherwise.
#ifndef SYSREWRITE_TESTS_DIFFERENTIAL_HANDLER_H_
#define SYSREWRITE_TESTS_DIFFERENTIAL_HANDLER_H_

#include <vector>

#include "tests/differential/process.h"
#include "tests/differential/tracer.h"

namespace sysrewrite::differential {

// Poison, and where the call that stood there is made instead; ascending by address.
struct PoisonedSite {
  uint64_t site = 0, enter = 0;
};

// What the handler looks at. While a function runs, fs is the function's: so the handler uses no
// thread-local storage, errno included, and is compiled without a stack protector.
struct Signals {
  bool running = false;  // a function: signals are its own
  std::vector<PoisonedSite> poison;
  uint64_t traps = 0;
  Fault fault;
  Tracer* tracer = nullptr;  // where a function is run step by step
};
extern Signals signals;

// Handlers for the faults, on a stack of their own; false where that failed.
bool watch_signals();

}  // namespace sysrewrite::differential

#endif  // SYSREWRITE_TESTS_DIFFERENTIAL_HANDLER_H_
