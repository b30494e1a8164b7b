// A connection to the process behind `sysrewrite run`, and the packets on it
// (trampoline/server_protocol.h).
#ifndef SYSREWRITE_LOADER_SERVE_CONNECTION_H_
#define SYSREWRITE_LOADER_SERVE_CONNECTION_H_

#include "loader/syscalls.h"
#include "trampoline/server_protocol.h"

namespace sysrewrite {

// Closed by exec; negative where nobody listens, or a stranger does. By its name, or, where there
// is a door (door.h), through that.
sys::Fd connect_to_server();
sys::Fd connect_by_name();

// Whether this is a connection that was made by its name.
bool leads_to_server(sys::Fd fd);

// Two sockets that are connected with each other. 0, or why not.
int64_t make_connected_pair(int32_t (&ends)[2]);

// `file` goes along, where it is not negative. False where nobody takes it.
bool send_packet(sys::Fd socket, const ServerRequest& request, sys::Fd file);

// False where no answer came. `attached` is the caller's to close, and -1 where there is none.
bool receive_packet(sys::Fd socket, ServerReply* reply, sys::Fd* attached);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SERVE_CONNECTION_H_
