// What there is in a tree, as the walk found it.
#ifndef SYSREWRITE_CLI_BATCH_MANIFEST_H_
#define SYSREWRITE_CLI_BATCH_MANIFEST_H_

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <vector>

namespace sysrewrite {

struct Entry {
  std::string name;     // of the root: empty
  uint32_t parent = 0;  // the root's is itself
  struct stat status {};
};

// Entry 0 is the root. A directory stands before what it holds, and what it holds in the order of
// the names' bytes.
struct Manifest {
  std::vector<Entry> entries;

  // Relative to the root, whose own path is ".".
  std::string path(uint32_t index) const;
};

inline bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino &&
         (a.st_mode & S_IFMT) == (b.st_mode & S_IFMT);
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_BATCH_MANIFEST_H_
