// Files that give their user somebody else's rights.
#ifndef SYSREWRITE_CLI_PRIVILEGE_H_
#define SYSREWRITE_CLI_PRIVILEGE_H_

#include <optional>
#include <string>

#include "cli/input_file.h"
#include "rewriter/options.h"

namespace sysrewrite {

// A setuid, setgid or capability-bearing program runs its interpreter with its own rights. Refuses
// to name one that anybody but root could replace: itself, or by a folder above it.
std::optional<Error> refuse_privileged(const InputFile& input, const Options& options);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_PRIVILEGE_H_
