#include "cli/batch/root_folder.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

#include "cli/batch/manifest.h"

namespace sysrewrite {

namespace {

constexpr unsigned kMostLinks = 40;  // which the kernel follows, too
constexpr int kFolder = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

Descriptor again(const Descriptor& folder) {
  return Descriptor(openat(folder.get(), ".", kFolder));
}

// Nothing where the name is no link.
std::optional<std::string> read_link(const Descriptor& folder, const std::string& name) {
  char text[PATH_MAX];
  const ssize_t size = readlinkat(folder.get(), name.c_str(), text, sizeof(text));
  if (size < 0) return std::nullopt;
  return std::string(text, static_cast<size_t>(size));
}

Descriptor open_end(const std::vector<Place>& chain, int flags) {
  if (chain.empty()) return {};
  const Place& end = chain.back();
  return Descriptor(openat(end.folder.get(), end.name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC));
}

// The first part of a path, which is then the rest; empty where there is none.
std::string take_part(std::string& path) {
  const size_t begin = std::min(path.find_first_not_of('/'), path.size());
  const size_t end = std::min(path.find('/', begin), path.size());
  std::string part = path.substr(begin, end - begin);
  path.erase(0, std::min(path.find_first_not_of('/', end), path.size()));
  return part;
}

}  // namespace

std::vector<Place> RootFolder::chain(const std::string& path) const {
  unsigned links = 0;
  auto place = find(root(), path, &links);
  return chain(std::move(place), links);
}

std::vector<Place> RootFolder::chain(Place place) const {
  return chain(std::optional(std::move(place)), 0);
}

std::vector<Place> RootFolder::chain(std::optional<Place> place, unsigned links) const {
  std::vector<Place> places;
  while (place) {
    places.push_back(std::move(*place));
    const Place& last = places.back();
    const auto text = read_link(last.folder, last.name);
    if (!text) return places;
    if (++links > kMostLinks) errno = ELOOP;
    place = links > kMostLinks ? std::nullopt : find(again(last.folder), *text, &links);
  }
  return {};
}

Descriptor RootFolder::open(const std::string& path, int flags) const {
  return open_end(chain(path), flags);
}

Descriptor RootFolder::open(const Place& place, int flags) const {
  return open_end(chain({again(place.folder), place.name}), flags);
}

std::optional<Place> RootFolder::find(Descriptor folder, const std::string& path,
                                      unsigned* links) const {
  std::string rest = path;
  if (!path.empty() && path.front() == '/') folder = root();
  while (folder.valid()) {
    const std::string part = take_part(rest);
    if (part.empty()) return Place{std::move(folder), "."};
    if (part == "..") folder = parent(folder);
    if (part == "." || part == "..") continue;
    if (rest.empty()) return Place{std::move(folder), part};
    const auto text = read_link(folder, part);
    if (!text) {
      folder.reset(openat(folder.get(), part.c_str(), kFolder));
      continue;
    }
    if (++*links > kMostLinks) {
      errno = ELOOP;
      return std::nullopt;
    }
    if (text->front() == '/') folder = root();
    rest = fmt::format("{}/{}", *text, rest);
  }
  return std::nullopt;
}

Descriptor RootFolder::root() const {
  return Descriptor(openat(root_, ".", kFolder));
}

Descriptor RootFolder::parent(const Descriptor& folder) const {
  struct stat status {
  }, top{};
  if (fstat(folder.get(), &status) != 0 || fstat(root_, &top) != 0) return {};
  return same_file(status, top) ? root() : Descriptor(openat(folder.get(), "..", kFolder));
}

}  // namespace sysrewrite
