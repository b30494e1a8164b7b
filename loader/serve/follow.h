// Following a program into what it executes.
#ifndef SYSREWRITE_LOADER_SERVE_FOLLOW_H_
#define SYSREWRITE_LOADER_SERVE_FOLLOW_H_

#include <asm/unistd.h>

#include <cstdint>

namespace sysrewrite {

// execveat(directory, path, argv, envp, flags), as the program asked for it, with the signal mask
// that it had; execve is the case of AT_FDCWD and no flags.
struct ExecRequest {
  int32_t directory;
  uint64_t path, argv, envp;
  uint64_t flags;
  uint64_t mask;
};

// Executes sysload in the program's place, with what it wanted to execute as the argument; returns
// only where that failed, with the errno that the program is to see. False where the call is better
// left to the kernel: because it will fail, or because the new program cannot be followed, which is
// then reported.
bool follow_exec(const ExecRequest& request, int64_t* answer);

inline bool is_exec(uint64_t number) {
  return number == __NR_execve || number == __NR_execveat;
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SERVE_FOLLOW_H_
