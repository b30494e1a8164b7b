#include "cli/batch/directory_cache.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

namespace sysrewrite {

int DirectoryCache::open(uint32_t directory) {
  std::vector<uint32_t> missing;
  int at = -1;
  for (uint32_t next = directory; (at = find(next)) < 0; next = manifest_.entries[next].parent)
    missing.push_back(next);
  // Those on the way are kept as well: whoever comes back up will ask for them.
  for (auto next = missing.rbegin(); next != missing.rend() && at >= 0; ++next)
    at = step(at, *next);
  return at;
}

int DirectoryCache::find(uint32_t directory) {
  if (directory == 0) return root_;
  const auto found = std::find_if(open_.begin(), open_.end(), [directory](const auto& item) {
    return item.first == directory;
  });
  if (found == open_.end()) return -1;
  open_.splice(open_.begin(), open_, found);
  return open_.front().second.get();
}

int DirectoryCache::step(int from, uint32_t directory) {
  const Entry& entry = manifest_.entries[directory];
  Descriptor fd(openat(from, entry.name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return -1;
  struct stat status {};
  if (check_ == Check::kIdentity &&
      (fstat(fd.get(), &status) != 0 || !same_file(status, entry.status))) {
    errno = ESTALE;
    return -1;
  }
  open_.emplace_front(directory, std::move(fd));
  if (open_.size() > kMostOpen) open_.pop_back();
  return open_.front().second.get();
}

}  // namespace sysrewrite
