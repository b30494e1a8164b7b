// sysrewrite IN OUT: one file.
#ifndef SYSREWRITE_CLI_REWRITE_COMMAND_H_
#define SYSREWRITE_CLI_REWRITE_COMMAND_H_

#include <string>

#include "rewriter/options.h"

namespace sysrewrite {

struct RewriteCommand {
  std::string input, output;
  Options options;
  bool json = false;
  bool dry_run = false;
  bool quiet = false;
};

// Rewrites and reports; returns the exit status.
int execute(const RewriteCommand& command);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_REWRITE_COMMAND_H_
