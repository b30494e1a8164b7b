// sysrewrite restore OUT IN: the input again, byte for byte.
#ifndef SYSREWRITE_CLI_RESTORE_COMMAND_H_
#define SYSREWRITE_CLI_RESTORE_COMMAND_H_

#include <string>

namespace sysrewrite {

struct RestoreCommand {
  std::string rewritten, original;  // read, written; may be the same file
  bool json = false;
  bool dry_run = false;
  bool quiet = false;
};

// Restores and reports; returns the exit status.
int execute(const RestoreCommand& command);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_RESTORE_COMMAND_H_
