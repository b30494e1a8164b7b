// sysrewrite inspect FILE...: what there is in a file, rewritten or not.
#ifndef SYSREWRITE_CLI_INSPECT_COMMAND_H_
#define SYSREWRITE_CLI_INSPECT_COMMAND_H_

#include <string>
#include <vector>

namespace sysrewrite {

struct InspectCommand {
  std::vector<std::string> files;
  std::string site;          // an address or a function: only this; empty: all
  bool disassemble = false;  // before and after, and the stubs
  bool summary = false;      // a line for each file
  bool json = false;
};

// Inspects and prints on standard output; returns the exit status, 1 where a file could not be
// inspected.
int execute(const InspectCommand& command);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_INSPECT_COMMAND_H_
