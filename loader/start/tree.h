// A rewritten tree: a root filesystem, or part of one, whose files were rewritten in place.
//
//     /lib64/ld-linux-x86-64.so.2             sysload: what programs name as their interpreter
//     /lib64/ld-linux-x86-64.so.2.rewritten   the rewritten ld.so
//     /usr/lib/sysload                        sysload: what rewritten programs name
//
// The kernel starts whatever stands at the first path, for programs that nobody rewrote too: a
// rewritten ld.so would jump into a trampoline that nobody has mapped.
//
// A link that leads to the first path is as good a name (Debian's /usr/bin/ld.so is one): what
// stands beside the name that was given counts first, then what stands beside the one that this is
// a link to, and so on.
#ifndef SYSREWRITE_LOADER_START_TREE_H_
#define SYSREWRITE_LOADER_START_TREE_H_

#include "loader/start/program_file.h"
#include "loader/start/stack_view.h"

namespace sysrewrite {

// The file that is to be the interpreter where a program names `path`: the one beside it in a
// rewritten tree, else `path` itself. Ends the process with a line where neither can be opened, or
// where `path` is sysload and nothing stands beside it, nor beside what it is a link to.
ProgramFile open_interpreter(const char* phase, const char* path);

// False where there is no rewritten ld.so beside the name that sysload was executed by, nor beside
// those that it leads to.
bool open_beside_own_name(const StackView& stack, ProgramFile* file);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_START_TREE_H_
