#include "cli/server_socket.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include "cli/input_file.h"
#include "cli/messages.h"

namespace sysrewrite {

Result<Descriptor> listen_at(const std::string& name) {
  Descriptor listener(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.valid()) return system_error("cannot create", "a socket", errno);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  const auto* generic = static_cast<const sockaddr*>(static_cast<const void*>(&address));
  if (bind(listener.get(), generic, size) != 0 || listen(listener.get(), 4096) != 0)
    return system_error("cannot listen on", name, errno);
  return listener;
}

bool is_same_user(int socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

std::optional<Request> receive(int socket) {
  Request out;
  iovec vector{&out.request, sizeof(out.request)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr header{};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = CMSG_LEN(sizeof(int));  // with its padding there is room for two
  const ssize_t got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (got < 0) return std::nullopt;  // and nothing stands in `control`
  const cmsghdr* message = CMSG_FIRSTHDR(&header);
  if (message != nullptr && message->cmsg_level == SOL_SOCKET && message->cmsg_type == SCM_RIGHTS &&
      message->cmsg_len == CMSG_LEN(sizeof(int))) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(message), sizeof(fd));
    out.file.reset(fd);
  }
  errno = 0;
  if (got != static_cast<ssize_t>(sizeof(out.request))) return std::nullopt;
  out.request.text[sizeof(out.request.text) - 1] = 0;
  return out;
}

void answer(int socket, ServerReply reply, int descriptor) {
  iovec vector{&reply, sizeof(reply)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  if (descriptor >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof(control);
    cmsghdr* message = CMSG_FIRSTHDR(&header);
    message->cmsg_level = SOL_SOCKET;
    message->cmsg_type = SCM_RIGHTS;
    message->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(message), &descriptor, sizeof(descriptor));
  }
  // A client that has died in the meantime is nobody's loss.
  static_cast<void>(sendmsg(socket, &header, MSG_NOSIGNAL));
}

void print_report(int socket) {
  constexpr size_t kMost = 1 << 20;
  // Whoever has been stopped in the middle must not keep this process from ending.
  const timeval patience{2, 0};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  std::string text;
  char packet[4096];
  ssize_t size = 0;
  while (text.size() < kMost && (size = recv(socket, packet, sizeof(packet), 0)) > 0)
    text.append(packet, static_cast<size_t>(size));
  print(stderr, text);
}

}  // namespace sysrewrite
