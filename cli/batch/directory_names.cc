#include "cli/batch/directory_names.h"

#include <dirent.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace sysrewrite {

std::optional<std::vector<std::string>> directory_names(Descriptor readable) {
  if (!readable.valid()) return std::nullopt;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(readable.get()), closedir);
  if (!stream) return std::nullopt;
  static_cast<void>(readable.release());  // the stream closes it
  std::vector<std::string> names;
  for (const dirent* item = nullptr; errno = 0, (item = readdir(stream.get())) != nullptr;)
    if (std::strcmp(item->d_name, ".") != 0 && std::strcmp(item->d_name, "..") != 0)
      names.emplace_back(item->d_name);
  if (errno != 0) return std::nullopt;
  return names;
}

}  // namespace sysrewrite
