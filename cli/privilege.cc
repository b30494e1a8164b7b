#include "cli/privilege.h"

#include <fmt/format.h>
#include <sys/xattr.h>

namespace sysrewrite {

namespace {

bool bears_privilege(const InputFile& input) {
  const mode_t mode = input.status().st_mode;
  if ((mode & S_ISUID) != 0 || (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP)) return true;
  return fgetxattr(input.descriptor(), "security.capability", nullptr, 0) > 0;
}

// The first part of the path that somebody else could change, or nothing.
std::optional<std::string> replaceable_part(const std::string& path) {
  for (size_t slash = 0; slash != std::string::npos;) {
    slash = path.find('/', slash + 1);
    const std::string part = path.substr(0, slash);
    struct stat status {};
    if (lstat(part.c_str(), &status) != 0) return part;  // whoever creates it decides
    if (S_ISLNK(status.st_mode)) return part;
    const bool sticky = S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0;
    if (status.st_uid != 0 || ((status.st_mode & S_IWOTH) != 0 && !sticky)) return part;
    if ((status.st_mode & S_IWGRP) != 0 && status.st_gid != 0) return part;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Error> refuse_privileged(const InputFile& input, const Options& options) {
  if (!options.interpreter || !bears_privilege(input)) return std::nullopt;
  const auto part = replaceable_part(*options.interpreter);
  if (!part) return std::nullopt;
  return Error{
      ErrorCode::kOptions, std::nullopt,
      fmt::format("the file is setuid, setgid or has capabilities, and its new interpreter "
                  "{} could be replaced by others than root ({} is missing, a link, or not "
                  "root's alone): install sysload where only root writes, or use "
                  "--no-interp",
                  *options.interpreter, *part)};
}

}  // namespace sysrewrite
