// Following a program into what it executes.
#ifndef SYSREWRITE_LOADER_FOLLOW_H_
#define SYSREWRITE_LOADER_FOLLOW_H_

#include <cstdint>

namespace sysrewrite {

// execve(path, argv, envp) with the signal mask that the program had. Executes sysload in the
// program's place, with the program as its argument; returns only where that failed, with the errno
// that the program is to see. False where the call is better left to the kernel: because it will
// fail, or because the new program cannot be followed, which is then reported.
bool follow_execve(uint64_t path, uint64_t argv, uint64_t envp, uint64_t mask, int64_t* answer);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_FOLLOW_H_
