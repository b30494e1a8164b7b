// The way to the server from other network namespaces, where nobody has its name.
//
//   program                     sysload                                   server
//   unshare(CLONE_NEWNET)  ---> connects, says kDoor   ================>  keeps the connection
//                               unshare(CLONE_NEWNET)          ||
//   mmap, execve, ...      ---> socketpair, one end through ===++======>  a connection, as any
//
// It is a descriptor that this process and all that come from it keep, with a number that programs
// do not come to of themselves, and that leaving.h keeps them from closing. Nobody has one whose
// network is the server's.
//
// A child of vfork has this memory, but descriptors of its own, so the state knows a number alone.
// Whether the door is there the kernel says: it leads to a socket of the server's name.
//
// All of it under the serving lock, or before there are threads.
#ifndef SYSREWRITE_LOADER_SERVE_DOOR_H_
#define SYSREWRITE_LOADER_SERVE_DOOR_H_

#include "loader/syscalls.h"

namespace sysrewrite {

// Negative where there is none.
sys::Fd door();
// Whether that could be it, of what the kernel takes for a descriptor: the lower half.
bool may_be_door(uint64_t fd);

// True where there was none before, and there is one now.
bool open_door();
void close_door(sys::Fd door);
// To another number, since the program wants this one. Without one there is no door any more.
void move_door(sys::Fd door);

// Takes over what execve has left open.
void take_door(sys::Fd fd);
// Whether exec is to leave a descriptor open.
void keep_over_exec(sys::Fd fd, bool keep);

// As connect_to_server(), which it is a part of.
sys::Fd connect_through(sys::Fd door);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SERVE_DOOR_H_
