#include "cli/batch/interpreter_names.h"

#include <fcntl.h>

#include <map>
#include <vector>

namespace sysrewrite {

namespace {

// A name in a directory, by whichever way it was reached.
using NameIdentity = std::pair<FileIdentity, std::string>;

NameIdentity identify_name(const Place& place) {
  return {identify(place.folder).value_or(FileIdentity{}), place.name};
}

}  // namespace

std::optional<FileIdentity> identify(const Descriptor& file) {
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return std::nullopt;
  return FileIdentity{status.st_dev, status.st_ino};
}

InterpreterNames choose_names(const RootFolder& root, const std::set<std::string>& names,
                              const std::set<FileIdentity>& files) {
  InterpreterNames chosen;
  std::map<NameIdentity, std::string> paths;
  std::vector<std::vector<NameIdentity>> chains;
  for (const std::string& path : names) {
    const auto file = identify(root.open(path, O_PATH));
    if (!file || !files.contains(*file)) continue;
    std::vector<NameIdentity> chain;
    for (const Place& place : root.chain(path)) chain.push_back(identify_name(place));
    paths.emplace(chain.front(), path);
    chains.push_back(std::move(chain));
    chosen.all.insert(path);
  }
  for (const auto& chain : chains) {
    auto last = chain.rbegin();
    while (!paths.contains(*last)) ++last;
    chosen.taken.insert(paths[*last]);
  }
  return chosen;
}

}  // namespace sysrewrite
