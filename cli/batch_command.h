// sysrewrite batch DIR -o OUT: a directory tree, its ELF files rewritten.
#ifndef SYSREWRITE_CLI_BATCH_COMMAND_H_
#define SYSREWRITE_CLI_BATCH_COMMAND_H_

#include <string>

#include "rewriter/options.h"

namespace sysrewrite {

struct BatchCommand {
  std::string input, output;
  Options options;
  unsigned jobs = 0;  // 0: the number of processors
  bool one_file_system = false;
  bool strict = false;
  bool install_loader = false;
  std::string loader;  // empty: the one beside sysrewrite
  bool json = false;
  bool dry_run = false;
  bool quiet = false;
};

// Rewrites and reports; returns the exit status.
int execute(const BatchCommand& command);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_BATCH_COMMAND_H_
