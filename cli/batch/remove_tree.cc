#include "cli/batch/remove_tree.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "cli/batch/directory_names.h"
#include "cli/descriptor.h"

namespace sysrewrite {

namespace {

struct Level {
  std::string name;
  std::vector<std::string> folders;  // not yet removed
};

// Removes all but the directories, and lists those.
bool empty_out(int folder, std::vector<std::string>& folders) {
  auto names = directory_names(Descriptor(openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  if (!names) return false;
  for (std::string& name : *names) {
    if (unlinkat(folder, name.c_str(), 0) == 0) continue;
    if (errno != EISDIR && errno != EPERM) return false;
    folders.push_back(std::move(name));
  }
  return true;
}

Descriptor enter(int folder, const std::string& name) {
  // It may have its last mode already.
  fchmodat(folder, name.c_str(), 0700, 0);
  return Descriptor(openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

}  // namespace

bool remove_tree(int folder, const std::string& name) {
  Descriptor at = enter(folder, name);
  if (!at.valid()) return false;
  std::vector<Level> levels{{name, {}}};
  if (!empty_out(at.get(), levels.back().folders)) return false;
  while (true) {
    Level& level = levels.back();
    if (!level.folders.empty()) {
      Level next{std::move(level.folders.back()), {}};
      level.folders.pop_back();
      at = enter(at.get(), next.name);
      if (!at.valid() || !empty_out(at.get(), next.folders)) return false;
      levels.push_back(std::move(next));
      continue;
    }
    const std::string done = std::move(level.name);
    levels.pop_back();
    if (levels.empty()) return unlinkat(folder, done.c_str(), AT_REMOVEDIR) == 0;
    at.reset(openat(at.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!at.valid() || unlinkat(at.get(), done.c_str(), AT_REMOVEDIR) != 0) return false;
  }
}

}  // namespace sysrewrite
