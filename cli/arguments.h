// The command line: what was asked, or what to say instead.
#ifndef SYSREWRITE_CLI_ARGUMENTS_H_
#define SYSREWRITE_CLI_ARGUMENTS_H_

#include <string>
#include <variant>

#include "cli/batch_command.h"
#include "cli/bisect_command.h"
#include "cli/cache/cache_command.h"
#include "cli/inspect_command.h"
#include "cli/restore_command.h"
#include "cli/rewrite_command.h"
#include "cli/run_command.h"
#include "cli/verify_command.h"

namespace sysrewrite {

enum class ExitStatus : int {
  kDone = 0,   // every site redirected or trapped
  kError = 1,  // nothing written
  kUsage = 2,
  kIncomplete = 3,  // written, but sites were left native and are listed
};

// Nothing to do but print and leave: --help, --version, a usage error.
struct Message {
  std::string text;
  ExitStatus status = ExitStatus::kDone;
};

using Command = std::variant<RewriteCommand, RunCommand, CacheCommand, RestoreCommand,
                             VerifyCommand, InspectCommand, BisectCommand, BatchCommand, Message>;

Command parse_arguments(int argc, const char* const* argv);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_ARGUMENTS_H_
