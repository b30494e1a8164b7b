// Which processes of a tree live on when its first one has ended.
#ifndef SYSREWRITE_CLI_LIVING_TREE_H_
#define SYSREWRITE_CLI_LIVING_TREE_H_

#include <sys/types.h>

#include <cstddef>
#include <set>

namespace sysrewrite {

// How many other processes map the file of a descriptor, in whichever PID namespace they are; and
// those of `named` that are younger than this process, since one that executes another program maps
// nothing for a moment. Those that this process may not look at are not counted; nor is any where
// /proc is not mounted.
size_t count_living(int file, const std::set<pid_t>& named);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_LIVING_TREE_H_
