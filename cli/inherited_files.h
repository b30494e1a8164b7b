// The files that run was started with: they are the program's.
#ifndef SYSREWRITE_CLI_INHERITED_FILES_H_
#define SYSREWRITE_CLI_INHERITED_FILES_H_

#include "cli/descriptor.h"

namespace sysrewrite {

// Before anything is opened. Where standard files are missing, nothing of run's own must get their
// numbers, since it would be written over: a file that is none stands there, and is closed where
// another program is executed. Returns one more of it.
Descriptor occupy_standard_numbers();

// When the program has them: whoever waits for the end of a pipe, for a lock or a file system that
// is in use must wait for the program alone. Standard error stays, where run says what it has to.
// So does what the program cannot hold itself: record locks, which are this process's, and go with
// any descriptor of their file. Until then nothing of run's own is open across execve.
void let_go_of_inherited_files(const Descriptor& nothing);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_INHERITED_FILES_H_
