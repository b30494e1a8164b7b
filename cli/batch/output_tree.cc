#include "cli/batch/output_tree.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/xattr.h>

#include <cerrno>
#include <climits>
#include <cstdio>

#include "cli/batch/directory_names.h"
#include "cli/batch/manifest.h"
#include "cli/batch/remove_tree.h"
#include "cli/input_file.h"

namespace sysrewrite {

namespace {

Error refusal(const std::string& message) {
  return {ErrorCode::kInputOutput, std::nullopt, message};
}

// Whether `inner` is the directory `outer` or lies below it: ".." is asked for and no path read, so
// links do not matter.
bool lies_inside(int inner, const struct stat& outer) {
  Descriptor at(openat(inner, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct stat status {};
  while (at.valid() && fstat(at.get(), &status) == 0) {
    if (same_file(status, outer)) return true;
    Descriptor up(openat(at.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct stat above {};
    if (!up.valid() || fstat(up.get(), &above) != 0 || same_file(above, status)) return false;
    at = std::move(up);
  }
  return false;
}

bool is_empty(int folder, const std::string& name) {
  const auto names = directory_names(
      Descriptor(openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)));
  return names && names->empty();
}

std::string random_suffix() {
  constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  uint8_t bytes[6] = {};
  if (getrandom(bytes, sizeof(bytes), 0) < 0) bytes[0] = static_cast<uint8_t>(getpid());
  std::string out;
  for (const uint8_t byte : bytes) out += kLetters[byte % (sizeof(kLetters) - 1)];
  return out;
}

}  // namespace

Result<OutputTree> OutputTree::create(int source, const std::string& out) {
  OutputTree tree;
  if (auto error = tree.choose(source, out)) return *error;
  if (auto error = tree.make()) return *error;
  return tree;
}

std::optional<Error> OutputTree::choose(int source, const std::string& out) {
  path_ = out;
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
  const size_t slash = path_.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
  name_ = slash == std::string::npos ? path_ : path_.substr(slash + 1);
  if (name_.empty() || name_ == "." || name_ == "..")
    return refusal(fmt::format("OUT is to be a new directory, and '{}' names none", out));
  folder_.reset(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder_.valid()) return system_error("cannot open", folder, errno);
  struct stat from {};
  if (fstat(source, &from) != 0) return system_error("cannot stat", "DIR", errno);
  if (auto error = check_existing(source)) return error;
  exists_ = faccessat(folder_.get(), name_.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  if (lies_inside(folder_.get(), from))
    return refusal(
        fmt::format("{} would lie inside DIR, which is only read; name a place outside", path_));
  return std::nullopt;
}

std::optional<Error> OutputTree::check_existing(int source) const {
  struct stat there {
  }, from{}, folder{};
  if (fstatat(folder_.get(), name_.c_str(), &there, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? std::nullopt
                           : std::optional(system_error("cannot stat", path_, errno));
  if (!S_ISDIR(there.st_mode))
    return refusal(fmt::format("{} exists and is no directory; name a new one", path_));
  if (fstat(source, &from) == 0 && same_file(from, there))
    return refusal(fmt::format("{} is DIR itself; name a place outside", path_));
  if (lies_inside(source, there))
    return refusal(fmt::format("DIR lies inside {}, which would be replaced; name another", path_));
  if (fstat(folder_.get(), &folder) == 0 && folder.st_dev != there.st_dev)
    return refusal(
        fmt::format("{} is a mount point, which cannot be replaced; name a directory "
                    "below it",
                    path_));
  if (!is_empty(folder_.get(), name_))
    return refusal(fmt::format("{} exists and is not empty; name a new directory", path_));
  return std::nullopt;
}

std::optional<Error> OutputTree::make() {
  constexpr size_t kSuffix = sizeof(".sysrewrite-XXXXXX") - 1;
  const std::string stem = name_.substr(0, NAME_MAX - kSuffix);
  for (int attempt = 0; attempt < 100; ++attempt) {
    temporary_ = stem + ".sysrewrite-" + random_suffix();
    if (mkdirat(folder_.get(), temporary_.c_str(), 0700) == 0) break;
    const int why = errno;
    temporary_.clear();
    if (why != EEXIST) return system_error("cannot make a directory beside", path_, why);
  }
  if (temporary_.empty()) return system_error("cannot make a directory beside", path_, EEXIST);
  root_.reset(
      openat(folder_.get(), temporary_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root_.valid() || fstat(root_.get(), &status_) != 0 || fchmod(root_.get(), 0700) != 0) {
    const int why = errno;
    unlinkat(folder_.get(), temporary_.c_str(), AT_REMOVEDIR);
    return system_error("cannot make a directory beside", path_, why);
  }
  // What the folder hands down to new files is none of DIR's.
  fremovexattr(root_.get(), "system.posix_acl_default");
  fremovexattr(root_.get(), "system.posix_acl_access");
  fchmod(root_.get(), 0700);
  return std::nullopt;
}

std::optional<Error> OutputTree::publish() const {
  const char* from = temporary_.c_str();
  const char* to = name_.c_str();
  const unsigned flags = exists_ ? 0 : RENAME_NOREPLACE;
  if (renameat2(folder_.get(), from, folder_.get(), to, flags) == 0) return std::nullopt;
  // A directory replaces nothing but an empty directory, so this is safe without the flag, too.
  if (errno == EINVAL && renameat(folder_.get(), from, folder_.get(), to) == 0) return std::nullopt;
  return system_error("cannot give the new tree its name", path_, errno);
}

std::optional<Error> OutputTree::remove() const {
  struct stat there {};
  if (fstatat(folder_.get(), temporary_.c_str(), &there, AT_SYMLINK_NOFOLLOW) != 0 ||
      !same_file(there, status_))
    return std::nullopt;
  if (remove_tree(folder_.get(), temporary_)) return std::nullopt;
  return system_error("cannot remove", path_.substr(0, path_.size() - name_.size()) + temporary_,
                      errno);
}

}  // namespace sysrewrite
