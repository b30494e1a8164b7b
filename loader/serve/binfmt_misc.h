// Formats of programs that were registered with the kernel: binfmt_misc.
#ifndef SYSREWRITE_LOADER_SERVE_BINFMT_MISC_H_
#define SYSREWRITE_LOADER_SERVE_BINFMT_MISC_H_

#include "trampoline/bytes.h"

namespace sysrewrite {

// Whether the kernel gives a file of this name, that begins so, to an interpreter that somebody has
// registered. False as well where /proc is not there to tell.
// Source: linux, Documentation/admin-guide/binfmt-misc.rst.
bool has_registered_format(ByteView start, const char* name);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SERVE_BINFMT_MISC_H_
