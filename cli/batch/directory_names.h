#ifndef SYSREWRITE_CLI_BATCH_DIRECTORY_NAMES_H_
#define SYSREWRITE_CLI_BATCH_DIRECTORY_NAMES_H_

#include <optional>
#include <string>
#include <vector>

#include "cli/descriptor.h"

namespace sysrewrite {

// The names in an opened directory but "." and "..", in the file system's order. Nothing and errno
// where they cannot be read.
std::optional<std::vector<std::string>> directory_names(Descriptor readable);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_BATCH_DIRECTORY_NAMES_H_
