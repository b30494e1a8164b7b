#include "cli/metadata.h"

#include <fmt/format.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <vector>

namespace sysrewrite {

namespace {

constexpr size_t kMostBytes = 65536;  // XATTR_SIZE_MAX and XATTR_LIST_MAX
constexpr const char* kCapabilities = "security.capability";

bool copies_attribute(std::string_view name, Bytes bytes) {
  return bytes == Bytes::kSame || (name != "security.ima" && name != "security.evm");
}

// Whether a call that failed says that there is nothing to copy.
bool is_absent(int error_number) {
  return error_number == ENOTSUP || error_number == ENODATA;
}

// The four calls have three forms each; `list`, `get` and `set` are those of one.
template <typename List, typename Get, typename Set>
void copy_each(Bytes bytes, Lost& lost, List list, Get get, Set set) {
  const auto lose = [&lost](std::string_view name) {
    (name == kCapabilities ? lost.capabilities : lost.attributes) = true;
  };
  const ssize_t size = list(nullptr, 0);
  if (size == 0 || (size < 0 && is_absent(errno))) return;
  std::vector<char> names(kMostBytes), value(kMostBytes);
  const ssize_t got = list(names.data(), names.size() - 1);
  if (got < 0) lose({});
  for (ssize_t at = 0; at < got;) {
    const std::string_view name(names.data() + at);
    at += static_cast<ssize_t>(name.size()) + 1;
    if (!copies_attribute(name, bytes)) continue;
    const ssize_t length = get(name.data(), value.data(), value.size());
    if (length < 0 && is_absent(errno)) continue;
    if (length < 0 || set(name.data(), value.data(), static_cast<size_t>(length)) != 0) lose(name);
  }
}

}  // namespace

void copy_attributes(int from, int to, Bytes bytes, Lost& lost) {
  // What the folder's default list gives each new file: the file has its own, or none.
  fremovexattr(to, "system.posix_acl_access");
  copy_each(
      bytes, lost, [from](char* names, size_t size) { return flistxattr(from, names, size); },
      [from](const char* name, char* value, size_t size) {
        return fgetxattr(from, name, value, size);
      },
      [to](const char* name, const char* value, size_t size) {
        return fsetxattr(to, name, value, size, 0);
      });
}

void copy_attributes_at(int from_folder, const std::string& from, int to_folder,
                        const std::string& to, Lost& lost) {
  const std::string source = fmt::format("/proc/self/fd/{}/{}", from_folder, from);
  const std::string target = fmt::format("/proc/self/fd/{}/{}", to_folder, to);
  copy_each(
      Bytes::kSame, lost,
      [&source](char* names, size_t size) { return llistxattr(source.c_str(), names, size); },
      [&source](const char* name, char* value, size_t size) {
        return lgetxattr(source.c_str(), name, value, size);
      },
      [&target](const char* name, const char* value, size_t size) {
        return lsetxattr(target.c_str(), name, value, size, 0);
      });
}

mode_t mode_for_copy(const struct stat& status, bool owner_kept, Lost& lost) {
  const mode_t mode = status.st_mode & 07777;
  if (owner_kept || (status.st_uid == geteuid() && status.st_gid == getegid())) return mode;
  lost.owner = true;
  lost.set_id = (mode & (S_ISUID | S_ISGID)) != 0;
  return mode & ~static_cast<mode_t>(S_ISUID | S_ISGID);
}

bool copy_ownership(int from, const struct stat& status, int to, Bytes bytes, Lost& lost) {
  const bool owner_kept = fchown(to, status.st_uid, status.st_gid) == 0;
  const mode_t mode = mode_for_copy(status, owner_kept, lost);
  copy_attributes(from, to, bytes, lost);
  return fchmod(to, mode) == 0;
}

bool copy_times(const struct stat& status, int to) {
  const struct timespec times[] = {status.st_atim, status.st_mtim};
  return futimens(to, times) == 0;
}

}  // namespace sysrewrite
