// The command lines of the commands that look at a rewritten file, or undo it.
#ifndef SYSREWRITE_CLI_PROOF_ARGUMENTS_H_
#define SYSREWRITE_CLI_PROOF_ARGUMENTS_H_

#include "cli/arguments.h"

namespace sysrewrite {

// Nothing where argv[1] is none of these commands.
std::optional<Command> parse_proof_arguments(int argc, const char* const* argv);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_PROOF_ARGUMENTS_H_
