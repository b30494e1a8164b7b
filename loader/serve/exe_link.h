// Whether a name is the link of /proc to the file that this process executes.
#ifndef SYSREWRITE_LOADER_SERVE_EXE_LINK_H_
#define SYSREWRITE_LOADER_SERVE_EXE_LINK_H_

#include <cstdint>

namespace sysrewrite {

// True for /proc/self/exe, /proc/thread-self/exe and /proc/PID/exe of this process; and for
// self/exe, thread-self/exe and exe where `directory`, a descriptor or AT_FDCWD, is that part of a
// procfs, wherever that is mounted. What the filter of serve.S lets through to here.
bool is_exe_link(int32_t directory, const char* path);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SERVE_EXE_LINK_H_
