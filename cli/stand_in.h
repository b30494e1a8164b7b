// `run` where others look for the program: it must be as if it were not there. What is sent to it
// goes to the program, what the terminal sends to both it leaves to the program, and when the
// program stops, it stops.
#ifndef SYSREWRITE_CLI_STAND_IN_H_
#define SYSREWRITE_CLI_STAND_IN_H_

#include <csignal>

#include "cli/descriptor.h"
#include "cli/job.h"
#include "cli/rewrite_server.h"

namespace sysrewrite {

// What run has to block, and to read from a signalfd.
sigset_t forwarded_signals();

// Serves, waits and forwards until the child is gone; its status as a shell shows it.
int stand_in_for(pid_t child, const Job& job, const Descriptor& signals, RewriteServer& server);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_STAND_IN_H_
