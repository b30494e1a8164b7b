// Calls by which a process leaves the server's network namespace, which open a door before
// (door.h), and those that would close it.
#ifndef SYSREWRITE_LOADER_SERVE_LEAVING_H_
#define SYSREWRITE_LOADER_SERVE_LEAVING_H_

#include <cstdint>

namespace sysrewrite {

struct CallFrame;

// Whether sysload_serve() is to be asked about calls of this number.
bool may_leave(uint64_t number);
bool may_close_door(uint64_t number);

// True where the call has its answer in the frame. A clone goes on as it is, as do those that have
// nothing to do with a door.
bool serve_leaving(CallFrame* call);

// Of its clone_args; 0 where they cannot be read, which the kernel will say.
uint64_t flags_of_clone3(uint64_t arguments);
// Whether unshare, or a clone, with these flags does.
bool leaves_network(uint64_t flags);

// From now on hook_call.cc asks about those that would close it.
void watch_calls_of_door();

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SERVE_LEAVING_H_
