// sysload in a rewritten tree, at the places where its programs look for it:
//
//     /usr/lib/sysload                        what rewritten programs name (--interp)
//     /lib64/ld-linux-x86-64.so.2             what all other programs name, now or later
//     /lib64/ld-linux-x86-64.so.2.rewritten   what stood there: the rewritten ld.so, or a link
//
// The tree is taken for a root file system: links in it are followed as if it were one already.
//
// One name may lead to another: Debian's names above are links to the file, which a program may
// name by its real path, too. The last one of those that are named is taken, and the others are
// links to sysload then, which follows them (loader/start/tree.h). So a name that moves never takes
// away what another one leads to, whatever order they come in.
#ifndef SYSREWRITE_CLI_BATCH_INSTALL_LOADER_H_
#define SYSREWRITE_CLI_BATCH_INSTALL_LOADER_H_

#include <optional>
#include <string>
#include <vector>

#include "cli/batch/tree_copy.h"
#include "cli/input_file.h"

namespace sysrewrite {

struct Installation {
  std::vector<std::string> places;  // where in the tree sysload was put
  // Entries of rewritten ld.so's that none of the names leads to: who starts them crashes.
  std::vector<uint32_t> without;
};

// Puts copies of `loader` to `interpreter` and to every name of a rewritten ld.so that a program of
// the tree has as its PT_INTERP, or that programs usually have. In the end each of these names has
// a rewritten ld.so beside it, or there is an error.
Result<Installation> install_loader(const CopyJob& job, const CopyResult& result,
                                    const InputFile& loader, const std::string& interpreter);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_BATCH_INSTALL_LOADER_H_
