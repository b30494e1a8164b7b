// sysrewrite run: any installed program, with its system calls going through sysload.
#ifndef SYSREWRITE_CLI_RUN_COMMAND_H_
#define SYSREWRITE_CLI_RUN_COMMAND_H_

#include <string>
#include <vector>

#include "cli/rewrite_server.h"

namespace sysrewrite {

struct RunCommand {
  std::vector<std::string> command;  // the program and its arguments
  std::vector<std::string> hooks;    // NAME or NAME:OPTIONS, in order
  bool hide_vdso = false;            // from the program and what it executes
  bool exhaustive = false;           // catch calls of code that was not rewritten
  std::string loader;                // path of sysload; empty: the one beside sysrewrite
  UnpatchedPolicy unpatched = UnpatchedPolicy::kRewrite;
  bool follow = true;     // what the program executes
  bool use_cache = true;  // what earlier runs have rewritten
  bool quiet = false;
  // As ServerOptions has them.
  std::function<void(const std::string& path, Options&)> select;
  std::function<void(const std::string& path, const Report&)> rewritten;
};

// Runs it and returns its exit status (128 + the signal that killed it); 127 where it could not be
// started. What ran native is listed on standard error at the end, unless quiet.
int execute(const RunCommand& command);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_RUN_COMMAND_H_
