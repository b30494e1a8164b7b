// Where sysload is.
#ifndef SYSREWRITE_CLI_LOADER_PATH_H_
#define SYSREWRITE_CLI_LOADER_PATH_H_

#include <string>

namespace sysrewrite {

// What was asked for, or, where that is empty, the one beside this program, or the installed one.
std::string loader_path(const std::string& asked);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_LOADER_PATH_H_
