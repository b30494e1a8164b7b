#include "cli/cache/private_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "cli/input_file.h"

namespace sysrewrite {

namespace {

std::optional<Error> not_private(const Descriptor& folder, const std::string& path) {
  struct stat status {};
  if (fstat(folder.get(), &status) != 0) return system_error("cannot look at", path, errno);
  if (status.st_uid != geteuid())
    return Error{
        ErrorCode::kInputOutput, std::nullopt,
        fmt::format("{} belongs to user {}, and this is user {}", path, status.st_uid, geteuid())};
  if ((status.st_mode & 077) != 0)
    return Error{ErrorCode::kInputOutput, std::nullopt,
                 fmt::format("{} is open to others (mode {:o}); chmod 700 it, if nobody else has "
                             "written there",
                             path, status.st_mode & 07777)};
  return std::nullopt;
}

Result<Descriptor> checked_folder(int descriptor, int error_number, const std::string& path) {
  Descriptor folder(descriptor);
  if (!folder.valid()) return system_error("cannot open", path, error_number);
  if (auto error = not_private(folder, path)) return *error;
  return folder;
}

// Whatever the umask takes away: nobody could open it any more. False, with errno; one that is
// there already is left as it is.
bool make_folder(int parent, const std::string& name) {
  if (mkdirat(parent, name.c_str(), 0700) != 0) return errno == EEXIST;
  return fchmodat(parent, name.c_str(), 0700, 0) == 0;
}

constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

}  // namespace

Result<std::string> user_folder(const char* variable, const char* fallback) {
  const char* own = std::getenv(variable);
  if (own != nullptr && own[0] == '/') return std::string(own) + "/sysrewrite";
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return fmt::format("{}/{}/sysrewrite", home, fallback);
  return Error{ErrorCode::kInputOutput, std::nullopt,
               fmt::format("neither ${} nor $HOME names a folder", variable)};
}

Result<Descriptor> open_private_folder(const std::string& path) {
  // Nearly always it is there.
  const int found = open(path.c_str(), kFolderFlags);
  if (found >= 0 || errno != ENOENT) return checked_folder(found, errno, path);
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    const std::string parent = path.substr(0, slash);
    if (!make_folder(AT_FDCWD, parent)) return system_error("cannot create", parent, errno);
  }
  if (!make_folder(AT_FDCWD, path)) return system_error("cannot create", path, errno);
  const int descriptor = open(path.c_str(), kFolderFlags);
  return checked_folder(descriptor, errno, path);
}

Result<Descriptor> open_private_folder(const Descriptor& parent, const std::string& name,
                                       const std::string& path_for_people) {
  const int found = openat(parent.get(), name.c_str(), kFolderFlags);
  if (found >= 0 || errno != ENOENT) return checked_folder(found, errno, path_for_people);
  if (!make_folder(parent.get(), name))
    return system_error("cannot create", path_for_people, errno);
  const int descriptor = openat(parent.get(), name.c_str(), kFolderFlags);
  return checked_folder(descriptor, errno, path_for_people);
}

std::optional<PrivateBytes> read_private_file(const Descriptor& folder, const std::string& name,
                                              uint64_t most) {
  const Descriptor file(
      openat(folder.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat status {};
  if (!file.valid() || fstat(file.get(), &status) != 0) return std::nullopt;
  const bool ours = S_ISREG(status.st_mode) && status.st_uid == geteuid();
  if (!ours || static_cast<uint64_t>(status.st_size) > most) return std::nullopt;
  PrivateBytes bytes(static_cast<size_t>(status.st_size));
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = read(file.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return std::nullopt;
    done += static_cast<size_t>(got);
  }
  // A file that is used is kept: prune goes by this time. Once a day is enough.
  constexpr int64_t kDay = 86400;
  if (time(nullptr) - status.st_mtim.tv_sec > kDay) futimens(file.get(), nullptr);
  return bytes;
}

int write_private_file(const Descriptor& folder, const std::string& name, ByteView bytes,
                       Existing existing) {
  uint64_t random = 0;
  if (getrandom(&random, sizeof(random), 0) != sizeof(random)) return errno;
  const std::string temporary = fmt::format("new.{:016x}", random);
  Descriptor file(openat(folder.get(), temporary.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid() || fchmod(file.get(), 0600) != 0) return errno;
  int problem = 0;
  if (!write_at(file.get(), bytes, 0)) {
    problem = errno != 0 ? errno : EIO;
  } else if (existing == Existing::kReplace) {
    if (renameat(folder.get(), temporary.c_str(), folder.get(), name.c_str()) == 0) return 0;
    problem = errno;
  } else {
    if (linkat(folder.get(), temporary.c_str(), folder.get(), name.c_str(), 0) != 0)
      problem = errno;
  }
  unlinkat(folder.get(), temporary.c_str(), 0);
  return problem;
}

}  // namespace sysrewrite
