// --exhaustive: calls of code that nobody rewrote (a JIT's, a library's that was left native) are
// caught by Syscall User Dispatch, go through the same callback, and are counted by their address.
#ifndef SYSREWRITE_LOADER_ENGINE_EXHAUSTIVE_H_
#define SYSREWRITE_LOADER_ENGINE_EXHAUSTIVE_H_

#include <cstdint>

#include "loader/signals/signal_frame.h"
#include "loader/thread_block.h"

namespace sysrewrite {

// Maps the table of what is caught.
void prepare_exhaustive();

// The one sender of SIGSYS that is served: linux, include/uapi/asm-generic/siginfo.h,
// SYS_USER_DISPATCH.
inline constexpr int32_t kUserDispatch = 2;

// Makes a caught call go on in the callback; one of the i386 table where it is made as it is.
void redirect_caught(ThreadBlock* block, const KernelSiginfo& info, KernelUcontext& context);

// From here on only sysload's code may issue system calls. Ends the process with a line where the
// kernel does not know Syscall User Dispatch (Linux before 5.11).
void arm_exhaustive();

// Prints which calls were caught, and where they came from. Nothing where there were none.
void print_caught();

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_ENGINE_EXHAUSTIVE_H_
