#include "cli/privilege.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/xattr.h>

#include <algorithm>

#include "cli/descriptor.h"
#include "trampoline/program_kind.h"

namespace sysrewrite {

namespace {

// What an access control list grants to others shows in the group's bits, which are its mask.
bool root_alone(const struct stat& status) {
  if (S_ISLNK(status.st_mode)) return false;
  const bool sticky = S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0;
  return status.st_uid == 0 && (sticky || (status.st_mode & (S_IWGRP | S_IWOTH)) == 0);
}

}  // namespace

bool bears_privilege(const InputFile& input) {
  if (gives_rights(input.status().st_mode)) return true;
  return fgetxattr(input.descriptor(), "security.capability", nullptr, 0) > 0;
}

std::optional<std::string> replaceable_part(const std::string& path) {
  for (size_t slash = 0; slash != std::string::npos;) {
    slash = path.find('/', slash + 1);
    const std::string part = path.substr(0, slash);
    struct stat status {};
    if (lstat(part.c_str(), &status) != 0 || !root_alone(status)) return part;
  }
  return std::nullopt;
}

std::optional<std::string> replaceable_part_in(int root, const std::string& path, bool* missing) {
  struct stat status {};
  if (missing != nullptr) *missing = false;
  if (fstat(root, &status) != 0 || !root_alone(status)) return "/";
  Descriptor at(openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (size_t begin = 0; begin < path.size();) {
    const size_t slash = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, slash - begin);
    begin = slash + 1;
    if (name.empty() || name == ".") continue;
    const std::string part = path.substr(0, slash);
    if (name == "..") return part;
    if (fstatat(at.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      if (missing != nullptr) *missing = true;
      return std::nullopt;
    }
    if (!root_alone(status)) return part;
    if (slash < path.size())
      at.reset(openat(at.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  return std::nullopt;
}

Error privilege_error(const std::string& interpreter, const std::string& part) {
  return {ErrorCode::kOptions, std::nullopt,
          fmt::format("the file is setuid, setgid or has capabilities, and its new interpreter "
                      "{} could be replaced by others than root ({} is missing, a link, or not "
                      "root's alone): install sysload where only root writes, or use "
                      "--no-interp",
                      interpreter, part)};
}

std::optional<Error> refuse_privileged(const InputFile& input, const Options& options) {
  if (!options.interpreter || !bears_privilege(input)) return std::nullopt;
  const auto part = replaceable_part(*options.interpreter);
  if (!part) return std::nullopt;
  return privilege_error(*options.interpreter, *part);
}

}  // namespace sysrewrite
