#include "cli/batch/tree_walk.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "cli/batch/directory_cache.h"
#include "cli/batch/directory_names.h"
#include "cli/input_file.h"
#include "cli/printable.h"

namespace sysrewrite {

namespace {

constexpr size_t kMostEntries = UINT32_MAX;

class Walker {
 public:
  Walker(int root, const std::string& name, const WalkOptions& options)
      : folders_(root, manifest_, DirectoryCache::Check::kIdentity),
        name_(name),
        options_(options) {}

  Result<Manifest> walk(const struct stat& root) {
    manifest_.entries.push_back({{}, 0, root});
    // A stack and not a recursion: the tree may be deeper than ours.
    std::vector<uint32_t> waiting{0};
    while (!waiting.empty()) {
      const uint32_t folder = waiting.back();
      waiting.pop_back();
      const auto first = static_cast<uint32_t>(manifest_.entries.size());
      if (auto error = list(folder)) return *error;
      for (auto at = static_cast<uint32_t>(manifest_.entries.size()); at-- > first;)
        if (descends_into(manifest_.entries[at].status)) waiting.push_back(at);
    }
    return std::move(manifest_);
  }

 private:
  bool descends_into(const struct stat& status) const {
    if (!S_ISDIR(status.st_mode)) return false;
    return !options_.one_file_system || status.st_dev == manifest_.entries[0].status.st_dev;
  }

  Error problem(const char* what, uint32_t entry) const {
    return system_error(what, printable(name_ + "/" + manifest_.path(entry)), errno);
  }

  std::optional<Error> list(uint32_t folder) {
    const int at = folders_.open(folder);
    if (at < 0) return problem("cannot open", folder);
    auto names = directory_names(Descriptor(open_for_reading(at, ".", O_DIRECTORY)));
    if (!names) return problem("cannot read", folder);
    std::sort(names->begin(), names->end());
    for (std::string& name : *names)
      if (auto error = add(at, folder, std::move(name))) return error;
    return std::nullopt;
  }

  std::optional<Error> add(int at, uint32_t folder, std::string name) {
    // What no honest file system has; the rest relies on a name being one step down.
    if (name.empty() || name.find('/') != std::string::npos)
      return Error{ErrorCode::kInputOutput, std::nullopt,
                   fmt::format("{} holds the name '{}', which is none",
                               printable(name_ + "/" + manifest_.path(folder)), printable(name))};
    if (manifest_.entries.size() >= kMostEntries) {
      errno = EOVERFLOW;
      return problem("too many files at", folder);
    }
    struct stat status {};
    if (fstatat(at, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      const int why = errno;
      return system_error("cannot stat",
                          printable(name_ + "/" + manifest_.path(folder) + "/" + name), why);
    }
    if (same_file(status, options_.leave_out)) return std::nullopt;
    manifest_.entries.push_back({std::move(name), folder, status});
    return std::nullopt;
  }

  Manifest manifest_;
  DirectoryCache folders_;
  const std::string& name_;
  const WalkOptions& options_;
};

}  // namespace

int open_for_reading(int folder, const char* name, int flags) {
  flags |= O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  const int fd = openat(folder, name, flags | O_NOATIME);
  // Only the owner may look without leaving a trace.
  return fd < 0 && errno == EPERM ? openat(folder, name, flags) : fd;
}

Result<Manifest> walk_tree(int root, const std::string& name, const WalkOptions& options) {
  struct stat status {};
  if (fstat(root, &status) != 0) return system_error("cannot stat", name, errno);
  return Walker(root, name, options).walk(status);
}

}  // namespace sysrewrite
