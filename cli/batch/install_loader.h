// sysload in a rewritten tree, at the places where its programs look for it:
//
//     /usr/lib/sysload                        what rewritten programs name (--interp)
//     /lib64/ld-linux-x86-64.so.2             what all other programs name, now or later
//     /lib64/ld-linux-x86-64.so.2.rewritten   what stood there: the rewritten ld.so, or a link to
//     it
//
// The tree is taken for a root file system: links in it are followed as if it were one already.
#ifndef SYSREWRITE_CLI_BATCH_INSTALL_LOADER_H_
#define SYSREWRITE_CLI_BATCH_INSTALL_LOADER_H_

#include <optional>
#include <string>
#include <vector>

#include "cli/batch/tree_copy.h"
#include "cli/input_file.h"

namespace sysrewrite {

// Puts copies of `loader` to `interpreter` and to every name of a rewritten ld.so that a program of
// the tree has as its PT_INTERP, or that programs usually have. Adds the places to `installed`.
std::optional<Error> install_loader(const CopyJob& job, const CopyResult& result,
                                    const InputFile& loader, const std::string& interpreter,
                                    std::vector<std::string>& installed);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_BATCH_INSTALL_LOADER_H_
