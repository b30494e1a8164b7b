// One run of a command, natively or with some of its sites patched, and what came of it.
#ifndef SYSREWRITE_CLI_TRIAL_H_
#define SYSREWRITE_CLI_TRIAL_H_

#include <functional>
#include <string>

#include "rewriter/result.h"

namespace sysrewrite {

struct TrialOutcome {
  int status = 0;  // as a shell shows it; 128 + 9 where it took too long
  bool timed_out = false;
  bool printed_too_much = false;  // more than 64 MiB
  std::string out, err;
};

// Calls `body` in a process of its own, without input, and keeps what it and all that it starts
// print; its result is the exit status. What is left of it after `seconds`, or where it prints too
// much, is killed; and where this process is ended by a signal, too.
Result<TrialOutcome> try_out(const std::function<int()>& body, double seconds);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_TRIAL_H_
