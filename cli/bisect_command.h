// sysrewrite bisect -- CMD: the site whose patch changes what CMD does.
#ifndef SYSREWRITE_CLI_BISECT_COMMAND_H_
#define SYSREWRITE_CLI_BISECT_COMMAND_H_

#include <string>
#include <vector>

#include "rewriter/options.h"

namespace sysrewrite {

struct BisectCommand {
  std::vector<std::string> command;  // the program and its arguments
  std::string loader;                // path of sysload; empty: the one beside sysrewrite
  Options options;                   // how the sites are patched
  double timeout = 60;               // seconds for one run
  bool json = false;
  bool quiet = false;
};

// Runs CMD natively, then under `run` with fewer and fewer sites patched, and prints the one that
// makes the difference; returns the exit status, 1 where there is none.
int execute(const BisectCommand& command);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_BISECT_COMMAND_H_
