// sysrewrite verify OUT [--against IN]: the proof of a patch.
#ifndef SYSREWRITE_CLI_VERIFY_COMMAND_H_
#define SYSREWRITE_CLI_VERIFY_COMMAND_H_

#include <string>

namespace sysrewrite {

struct VerifyCommand {
  std::string rewritten;
  std::string original;  // empty: what the rewritten file itself says that it was
  bool json = false;
  bool quiet = false;
};

// Verifies and reports; returns the exit status, 1 where something does not hold.
int execute(const VerifyCommand& command);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_VERIFY_COMMAND_H_
