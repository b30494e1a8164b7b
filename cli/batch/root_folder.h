// A directory taken for a root file system: paths in it, whose links lead where they would after
// chroot.
//
// They are followed here, step by step: openat2(2) could do it, but Linux before 5.6 does not have
// it, and filters of containers do not know it. That a name may be exchanged between two steps is
// nothing to be afraid of in a tree that nobody else may enter yet.
#ifndef SYSREWRITE_CLI_BATCH_ROOT_FOLDER_H_
#define SYSREWRITE_CLI_BATCH_ROOT_FOLDER_H_

#include <optional>
#include <string>
#include <vector>

#include "cli/descriptor.h"

namespace sysrewrite {

// A name in a directory, whether or not something stands there; "." where a path ends in one.
struct Place {
  Descriptor folder;  // O_PATH
  std::string name;
};

class RootFolder {
 public:
  // `root` must outlive it.
  explicit RootFolder(int root) : root_(root) {}

  // Where a path, or what stands at a place, leads through: its own place first, which need not be
  // a link, and last one that is none. Empty, with errno, where that leads nowhere.
  std::vector<Place> chain(const std::string& path) const;
  std::vector<Place> chain(Place place) const;

  // The end of such a chain, opened. Not valid, with errno, where that fails.
  Descriptor open(const std::string& path, int flags) const;
  Descriptor open(const Place& place, int flags) const;

 private:
  // Where `path` stands, relative to `folder`; its last part is not followed. Counts up `links`.
  std::optional<Place> find(Descriptor folder, const std::string& path, unsigned* links) const;
  std::vector<Place> chain(std::optional<Place> place, unsigned links) const;
  Descriptor root() const;
  // The root's own is the root.
  Descriptor parent(const Descriptor& folder) const;

  const int root_;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_BATCH_ROOT_FOLDER_H_
