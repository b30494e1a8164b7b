// By which names programs of a tree start an ld.so that was rewritten, and which of them sysload
// has to take.
#ifndef SYSREWRITE_CLI_BATCH_INTERPRETER_NAMES_H_
#define SYSREWRITE_CLI_BATCH_INTERPRETER_NAMES_H_

#include <sys/stat.h>

#include <optional>
#include <set>
#include <string>
#include <utility>

#include "cli/batch/root_folder.h"

namespace sysrewrite {

using FileIdentity = std::pair<dev_t, ino_t>;

struct InterpreterNames {
  std::set<std::string> all;    // that lead to one of the files
  std::set<std::string> taken;  // of these, the ones that lead to none of the others
};

// Looks at the tree and changes nothing. `names` are absolute paths, `files` the rewritten ld.so's.
InterpreterNames choose_names(const RootFolder& root, const std::set<std::string>& names,
                              const std::set<FileIdentity>& files);

// Which file that is; nothing, with errno, where there is none.
std::optional<FileIdentity> identify(const Descriptor& file);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_BATCH_INTERPRETER_NAMES_H_
