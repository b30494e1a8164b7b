// What passes between the process behind `sysrewrite run` and its clients
// (trampoline/server_protocol.h draws it), at its end.
//
// Thread safety: all of it, for different sockets.
#ifndef SYSREWRITE_CLI_SERVER_SOCKET_H_
#define SYSREWRITE_CLI_SERVER_SOCKET_H_

#include <optional>
#include <string>

#include "cli/descriptor.h"
#include "rewriter/result.h"
#include "trampoline/server_protocol.h"

namespace sysrewrite {

// At an abstract address; of this network namespace.
Result<Descriptor> listen_at(const std::string& name);

// True where the client that is connected there has this process's user.
bool is_same_user(int socket);

struct Request {
  ServerRequest request{};
  Descriptor file;
};

// Nothing, with EAGAIN, where it has not come yet; nothing, where it is none.
std::optional<Request> receive(int socket);

// A descriptor below 0 is none.
void answer(int socket, ServerReply reply, int descriptor);

// Prints what a client has to say on standard error, in one piece, since many may report at once.
void print_report(int socket);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_SERVER_SOCKET_H_
