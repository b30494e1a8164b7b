// The files that run was started with: they are the program's.
#ifndef SYSREWRITE_CLI_INHERITED_FILES_H_
#define SYSREWRITE_CLI_INHERITED_FILES_H_

#include "cli/descriptor.h"

namespace sysrewrite {

// Before anything is opened. Where standard files are missing, nothing of run's own must get their
// numbers, since it would be written over: a file that is none stands there, and is closed where
// another program is executed. Returns one more of it.
Descriptor occupy_standard_numbers();

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_INHERITED_FILES_H_
