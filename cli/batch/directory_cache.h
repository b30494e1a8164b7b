// Descriptors of a tree's directories, a few at a time.
//
// A tree may be deeper than there are descriptors, and its paths longer than PATH_MAX, so a
// directory is reached from the nearest ancestor that is still open, name by name, each without
// following a link. No path is ever given to the kernel as a whole: whoever changes the tree
// meanwhile can make a step fail, but not lead it outside.
#ifndef SYSREWRITE_CLI_BATCH_DIRECTORY_CACHE_H_
#define SYSREWRITE_CLI_BATCH_DIRECTORY_CACHE_H_

#include <list>
#include <utility>

#include "cli/batch/manifest.h"
#include "cli/descriptor.h"

namespace sysrewrite {

// For one thread.
class DirectoryCache {
 public:
  static constexpr size_t kMostOpen = 8;

  // Whether a directory must be the one that the manifest describes: so in the tree that was
  // walked; in its copy inodes are others.
  enum class Check { kIdentity, kNothing };

  DirectoryCache(int root, const Manifest& manifest, Check check)
      : root_(root), manifest_(manifest), check_(check) {}

  // An O_PATH descriptor, good until the next call but one; -1 with errno where there is none.
  // ESTALE: another directory stands there than the one that the walk found.
  int open(uint32_t directory);

 private:
  int find(uint32_t directory);
  int step(int from, uint32_t directory);

  int root_;
  const Manifest& manifest_;
  Check check_;
  std::list<std::pair<uint32_t, Descriptor>> open_;  // the last used first
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_BATCH_DIRECTORY_CACHE_H_
