// Files that were rewritten and have lost their trailer since: strip and objcopy drop it. Their
// jumps lead out of them, to whatever is mapped there, so there is no running them without.
#ifndef SYSREWRITE_LOADER_START_LOST_TRAILER_H_
#define SYSREWRITE_LOADER_START_LOST_TRAILER_H_

#include "loader/syscalls.h"

namespace sysrewrite {

// True where one of the first such jumps is found: in front of poison, to the first stubs of a
// trampoline behind the last segment. Stubs ascend as their sites do, so that this jump is an early
// one; the first MiB of code is read, which takes up to 0.3 ms. A library of 30 MB would be taken
// for one by chance once in 50,000.
bool has_lost_trailer(sys::Fd library);

// Ends the process with a line that says so.
[[noreturn]] void fail_without_trailer(const char* path);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_START_LOST_TRAILER_H_
