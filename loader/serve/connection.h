// A connection to the process behind `sysrewrite run`, and the packets on it
// (trampoline/server_protocol.h).
#ifndef SYSREWRITE_LOADER_SERVE_CONNECTION_H_
#define SYSREWRITE_LOADER_SERVE_CONNECTION_H_

#include "loader/syscalls.h"
#include "trampoline/server_protocol.h"

namespace sysrewrite {

// Closed by exec; negative where nobody listens, or a stranger does.
sys::Fd connect_to_server();

// `file` goes along, where it is not negative. False where nobody takes it.
bool send_packet(sys::Fd socket, const ServerRequest& request, sys::Fd file);

// False where no answer came. `attached` is the caller's to close, and -1 where there is none.
bool receive_packet(sys::Fd socket, ServerReply* reply, sys::Fd* attached);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SERVE_CONNECTION_H_
