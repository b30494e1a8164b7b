// Finding what there is in a tree, without following anything out of it.
#ifndef SYSREWRITE_CLI_BATCH_TREE_WALK_H_
#define SYSREWRITE_CLI_BATCH_TREE_WALK_H_

#include "cli/batch/manifest.h"
#include "rewriter/result.h"

namespace sysrewrite {

struct WalkOptions {
  bool one_file_system = false;  // directories of others are listed, as empty ones
  struct stat leave_out {};      // a directory that is no part of the tree, wherever it is mounted
};

// `root` is a directory's descriptor, `name` its path for messages. Holds a bounded number of
// descriptors, however deep the tree.
Result<Manifest> walk_tree(int root, const std::string& name, const WalkOptions& options);

// A directory opened for reading, where possible without a trace in its access time; `folder` may
// be an O_PATH descriptor. -1 with errno.
int open_for_reading(int folder, const char* name, int flags);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_BATCH_TREE_WALK_H_
