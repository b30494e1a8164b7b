#include "cli/loader_path.h"

#include <unistd.h>

#include <climits>

#include "rewriter/options.h"

namespace sysrewrite {

std::string loader_path(const std::string& asked) {
  if (!asked.empty()) return asked;
  char self[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", self, sizeof(self));
  if (size < 0) return kDefaultInterpreter;  // no /proc
  const std::string program(self, static_cast<size_t>(size));
  std::string beside = program.substr(0, program.rfind('/') + 1) + "sysload";
  return access(beside.c_str(), X_OK) == 0 ? beside : std::string(kDefaultInterpreter);
}

}  // namespace sysrewrite
