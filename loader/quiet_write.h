// Writing what hooks have to say, by the program's own thread: a reader who has gone, or a file
// that may grow no more, brings an error, and a signal that the program would take for its own, and
// die of.
//
//     block SIGPIPE and SIGXFSZ   in this thread: the kernel sends both to whoever writes
//     write
//     take away the one that the error brought, unless it was pending before
//     unblock them                unless a signal was put off meanwhile: then everything is blocked
//
// Legal here: what is legal in a hook. Others stay open, so that whoever waits for a slow reader
// can be killed.
#ifndef SYSREWRITE_LOADER_QUIET_WRITE_H_
#define SYSREWRITE_LOADER_QUIET_WRITE_H_

#include "loader/syscalls.h"

namespace sysrewrite {

// 0 where all of it was written; else the error of what was not.
int64_t write_quietly(sys::Fd fd, const char* text, uint64_t size);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_QUIET_WRITE_H_
