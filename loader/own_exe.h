// /proc/self/exe, where it names sysload instead of the program.
#ifndef SYSREWRITE_LOADER_OWN_EXE_H_
#define SYSREWRITE_LOADER_OWN_EXE_H_

#include "loader/syscalls.h"

namespace sysrewrite {

// Remembers the path of the program that sysload was given as an argument, open as `fd`.
void remember_own_exe(sys::Fd fd);

// True for /proc/self/exe, /proc/thread-self/exe and /proc/PID/exe of this process.
bool names_own_exe(const char* path);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_OWN_EXE_H_
