#include "cli/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "cli/file_data.h"

namespace sysrewrite {

namespace {

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Signals that end a process wait for as long as it lives.
class HeldSignals {
 public:
  HeldSignals() { sigprocmask(SIG_BLOCK, &kept_, &before_); }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;
  // What a file that is too large for the user raises is told by EFBIG already.
  ~HeldSignals() {
    const sigset_t set = too_large();
    constexpr timespec kNone{};
    sigtimedwait(&set, nullptr, &kNone);
    sigprocmask(SIG_SETMASK, &before_, nullptr);
  }

  void hold_all() {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGALRM, SIGXCPU})
      sigaddset(&kept_, signal);
    sigprocmask(SIG_BLOCK, &kept_, nullptr);
  }

 private:
  static sigset_t too_large() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGXFSZ);
    return set;
  }

  sigset_t kept_ = too_large(), before_{};
};

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
    if (descriptor_ >= 0 && can_be_named()) return std::nullopt;
    if (descriptor_ < 0 && errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)
      return system_error("cannot write to", directory, errno);
    if (descriptor_ >= 0) close(descriptor_);
    signals_.hold_all();
    std::string pattern = directory + "/.sysrewrite.XXXXXX";
    descriptor_ = mkostemp(pattern.data(), O_CLOEXEC);
    if (descriptor_ < 0) return system_error("cannot write to", directory, errno);
    name_ = pattern;
    return std::nullopt;
  }

  int descriptor() const { return descriptor_; }

  std::optional<Error> publish() {
    // Over a network only a close tells that the disk is full.
    const int last = dup(descriptor_);
    if (last < 0 || close(last) != 0) return system_error("cannot write", target_, errno);
    signals_.hold_all();
    if (name_.empty())
      if (auto error = give_name()) return error;
    if (rename(name_.c_str(), target_.c_str()) != 0)
      return system_error("cannot rename to", target_, errno);
    name_.clear();
    return std::nullopt;
  }

 private:
  std::string link() const { return fmt::format("/proc/self/fd/{}", descriptor_); }

  // What has no name is given one through /proc, which a chroot may not have.
  bool can_be_named() const { return access(link().c_str(), F_OK) == 0; }

  // linkat() cannot replace, so the file first gets a name that nobody has.
  std::optional<Error> give_name() {
    const std::string self = link();
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

  HeldSignals signals_;  // the last to go: behind what is removed
  std::string target_;
  std::string name_;
  int descriptor_ = -1;
};

// Without its capabilities a program is another one, so they are not left out here.
std::optional<Error> copy_metadata(const InputFile& input, int to, const std::string& path,
                                   Lost& lost) {
  if (!copy_ownership(input.descriptor(), input.status(), to, Bytes::kChanged, lost))
    return system_error("cannot set the mode of", path, errno);
  if (lost.capabilities) return system_error("cannot keep the file capabilities of", path, EPERM);
  return std::nullopt;
}

// What was decided holds for the bytes that were there then.
std::optional<Error> refuse_changed(const InputFile& input) {
  struct stat now {};
  if (fstat(input.descriptor(), &now) != 0) return system_error("cannot stat", "the input", errno);
  const struct stat& before = input.status();
  const bool is_same = now.st_size == before.st_size &&
                       now.st_mtim.tv_sec == before.st_mtim.tv_sec &&
                       now.st_mtim.tv_nsec == before.st_mtim.tv_nsec;
  if (is_same) return std::nullopt;
  return Error{ErrorCode::kInputOutput, std::nullopt,
               "the input was changed while it was read; try again"};
}

}  // namespace

std::optional<Error> write_output(const InputFile& input, const OutputBytes* output,
                                  const std::string& path, Lost& lost) {
  struct stat target {};
  const bool is_other = stat(path.c_str(), &target) == 0 && !S_ISREG(target.st_mode);
  if (is_other)
    return Error{ErrorCode::kInputOutput, std::nullopt,
                 fmt::format("cannot write {}: a folder or a device stands there, and would be "
                             "replaced; name a file",
                             path)};
  TemporaryFile file(path);
  if (auto error = file.open()) return error;
  if (!write_data(input, output, file.descriptor()))
    return system_error("cannot write", path, errno);
  if (auto error = copy_metadata(input, file.descriptor(), path, lost)) return error;
  if (auto error = refuse_changed(input)) return error;
  return file.publish();
}

}  // namespace sysrewrite
