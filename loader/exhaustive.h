// --exhaustive: calls of code that nobody rewrote (a JIT's, a library's that was left native) are
// caught by Syscall User Dispatch, go through the same callback, and are counted by their address.
#ifndef SYSREWRITE_LOADER_EXHAUSTIVE_H_
#define SYSREWRITE_LOADER_EXHAUSTIVE_H_

#include <cstdint>

#include "trampoline/address.h"

namespace sysrewrite {

// Makes the calls pass through exhaustive.S, and catches SIGSYS. Ends the process with a line where
// the kernel does not know Syscall User Dispatch (Linux before 5.11). Everything but the calling
// thread's own arming: arm_exhaustive().
void prepare_exhaustive();

// From here on only sysload's code may issue system calls.
void arm_exhaustive();

// Prints which calls were caught, and where they came from. Nothing where there were none.
void print_caught();

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_EXHAUSTIVE_H_
