// Leaving the start of a program to the kernel.
#ifndef SYSREWRITE_LOADER_START_NATIVE_START_H_
#define SYSREWRITE_LOADER_START_NATIVE_START_H_

#include <optional>

#include "loader/start/stack_view.h"
#include "loader/syscalls.h"

namespace sysrewrite {

// Executes a program in the place of sysload, with the arguments and environment of this stack, of
// which sysload's own are gone; with these signals blocked, if any are named. `fd` is the program's
// file, to which `path` may not lead any more; negative: the path is all there is. Ends the process
// with a line where the kernel refuses.
[[noreturn]] void start_natively(const StackView& stack, const char* path, sys::Fd fd,
                                 const std::optional<uint64_t>& mask);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_START_NATIVE_START_H_
