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

// The same in two steps, for who asks about many files.
bool bears_privilege(const InputFile& input);

// The first part of a path that others than root could replace, or nothing. Parts that are missing
// are such, too, since whoever creates them decides.
std::optional<std::string> replaceable_part(const std::string& path);

// The same for a path inside the tree `root`, whose own directory counts. What is missing there is
// not: of that `missing` tells, where it is not null.
std::optional<std::string> replaceable_part_in(int root, const std::string& path, bool* missing);

// Why a file that bears privilege is not given the interpreter.
Error privilege_error(const std::string& interpreter, const std::string& part);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_PRIVILEGE_H_
