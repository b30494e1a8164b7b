#include "cli/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sendfile.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string_view>
#include <vector>

#include "cli/descriptor.h"

namespace sysrewrite {

namespace {

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// A file without a name, or, where the file system cannot make one, with a temporary one. Gone
// again when this goes out of scope, unless it was published.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string target) : target_(std::move(target)) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (descriptor_ >= 0) close(descriptor_);
    if (!name_.empty()) unlink(name_.c_str());
  }

  std::optional<Error> open() {
    const std::string directory = directory_of(target_);
    descriptor_ = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (descriptor_ >= 0) return std::nullopt;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)
      return system_error("cannot write to", directory, errno);
    std::string pattern = directory + "/.sysrewrite.XXXXXX";
    descriptor_ = mkostemp(pattern.data(), O_CLOEXEC);
    if (descriptor_ < 0) return system_error("cannot write to", directory, errno);
    name_ = pattern;
    return std::nullopt;
  }

  int descriptor() const { return descriptor_; }

  std::optional<Error> publish() {
    if (name_.empty())
      if (auto error = give_name()) return error;
    if (rename(name_.c_str(), target_.c_str()) != 0)
      return system_error("cannot rename to", target_, errno);
    name_.clear();
    return std::nullopt;
  }

 private:
  // linkat() cannot replace, so the file first gets a name that nobody has.
  std::optional<Error> give_name() {
    const std::string self = fmt::format("/proc/self/fd/{}", descriptor_);
    for (unsigned attempt = 0; attempt < 1000; ++attempt) {
      const std::string name =
          fmt::format("{}/.sysrewrite.{}.{}", directory_of(target_), getpid(), attempt);
      if (linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0) {
        name_ = name;
        return std::nullopt;
      }
      if (errno != EEXIST) break;
    }
    return system_error("cannot name", target_, errno);
  }

  std::string target_;
  std::string name_;
  int descriptor_ = -1;
};

// In the kernel where it can, so that a large file never passes through this process.
bool copy_contents(const InputFile& input, uint64_t size, int to) {
  uint64_t done = 0;
  while (done < size) {
    auto from_offset = static_cast<off_t>(done);
    auto to_offset = static_cast<off_t>(done);
    const ssize_t copied =
        copy_file_range(input.descriptor(), &from_offset, to, &to_offset, size - done, 0);
    if (copied < 0 && errno == EINTR) continue;
    if (copied <= 0) return write_at(to, input.bytes().subspan(done, size - done), done);
    done += static_cast<uint64_t>(copied);
  }
  return true;
}

bool copies_attribute(std::string_view name) {
  return name != "security.ima" && name != "security.evm";
}

// What the target cannot hold (another file system, no privilege) is left out, as cp -p does, but
// for file capabilities, without which the program would be another one.
std::optional<Error> copy_attributes(const InputFile& input, int to, const std::string& path) {
  const ssize_t size = flistxattr(input.descriptor(), nullptr, 0);
  if (size <= 0) return std::nullopt;
  std::vector<char> names(static_cast<size_t>(size));
  const ssize_t got = flistxattr(input.descriptor(), names.data(), names.size());
  for (ssize_t at = 0; at < got;) {
    const std::string_view name(names.data() + at);
    at += static_cast<ssize_t>(name.size()) + 1;
    if (!copies_attribute(name)) continue;
    std::vector<char> value(65536);  // XATTR_SIZE_MAX
    const ssize_t length = fgetxattr(input.descriptor(), name.data(), value.data(), value.size());
    if (length < 0) continue;
    const bool kept = fsetxattr(to, name.data(), value.data(), static_cast<size_t>(length), 0) == 0;
    if (!kept && name == "security.capability")
      return system_error("cannot keep the file capabilities of", path, errno);
  }
  return std::nullopt;
}

std::optional<Error> copy_metadata(const InputFile& input, int to, const std::string& path) {
  const struct stat& from = input.status();
  const bool owner_kept = fchown(to, from.st_uid, from.st_gid) == 0;
  mode_t mode = from.st_mode & 07777;
  // A setuid bit for another owner would be another program's privilege.
  if (!owner_kept && (from.st_uid != geteuid() || from.st_gid != getegid()))
    mode &= ~static_cast<mode_t>(S_ISUID | S_ISGID);
  if (auto error = copy_attributes(input, to, path)) return error;
  if (fchmod(to, mode) != 0) return system_error("cannot set the mode of", path, errno);
  return std::nullopt;
}

bool write_contents(const InputFile& input, const OutputBytes* output, int descriptor) {
  const auto size = static_cast<uint64_t>(input.status().st_size);
  if (output == nullptr) return copy_contents(input, size, descriptor);
  if (!copy_contents(input, std::min(size, output->tail_offset.value), descriptor)) return false;
  for (const BytePatch& patch : output->patches)
    if (!write_at(descriptor, patch.bytes, patch.offset.value)) return false;
  return write_at(descriptor, output->tail, output->tail_offset.value);
}

}  // namespace

std::optional<Error> write_output(const InputFile& input, const OutputBytes* output,
                                  const std::string& path) {
  struct stat target {};
  const bool is_other = stat(path.c_str(), &target) == 0 && !S_ISREG(target.st_mode);
  if (is_other)
    return Error{ErrorCode::kInputOutput, std::nullopt,
                 fmt::format("cannot write {}: a folder or a device stands there, and would be "
                             "replaced; name a file",
                             path)};
  TemporaryFile file(path);
  if (auto error = file.open()) return error;
  if (!write_contents(input, output, file.descriptor()))
    return system_error("cannot write", path, errno);
  if (auto error = copy_metadata(input, file.descriptor(), path)) return error;
  return file.publish();
}

}  // namespace sysrewrite
