// rm -rf, for a tree that is ours alone.
#ifndef SYSREWRITE_CLI_BATCH_REMOVE_TREE_H_
#define SYSREWRITE_CLI_BATCH_REMOVE_TREE_H_

#include <string>

namespace sysrewrite {

// Removes the directory `name` of `folder` with all that is in it, however deep, and whatever the
// modes. One descriptor is open at a time. False, with errno, where the system refuses.
bool remove_tree(int folder, const std::string& name);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_BATCH_REMOVE_TREE_H_
