#include "loader/serve/connection.h"

#include <asm/unistd.h>
#include <linux/errno.h>

#include <cstring>

#include "loader/memory.h"
#include "loader/serve/door.h"
#include "loader/state.h"

namespace sysrewrite {

namespace {

// Source: linux, include/linux/socket.h (struct user_msghdr, struct cmsghdr), include/linux/un.h.
constexpr uint64_t kUnix = 1, kSeqPacket = 5, kCloseOnExec = 02000000;
constexpr int32_t kSolSocket = 1, kScmRights = 1;
constexpr uint64_t kMsgNoSignal = 0x4000, kMsgCmsgCloexec = 0x40000000;

struct SocketAddress {
  uint16_t family;
  char path[108];
};
struct IoVector {
  uint64_t base, length;
};
struct ControlWithFd {
  uint64_t length;
  int32_t level, type;
  int32_t fd, padding;
};
constexpr uint64_t kControlLength = 20;  // CMSG_LEN(sizeof(int))
struct MessageHeader {
  uint64_t name;
  uint32_t name_length, padding1;
  uint64_t vectors, vector_count;
  uint64_t control, control_length;
  uint32_t flags, padding2;
};

// The name may be taken by anybody once the server has ended, and stands in the arguments of
// processes that start, so a stranger could answer: who listens must be of this user, or root, who
// could do anything to this process as it is.
bool is_trusted(sys::Fd socket) {
  constexpr uint64_t kPeerCredentials = 17;  // SO_PEERCRED
  struct {
    int32_t pid;
    uint32_t user, group;
  } peer{};
  uint32_t size = sizeof(peer);
  const int64_t answer =
      sys::call(__NR_getsockopt, static_cast<uint64_t>(socket), kSolSocket, kPeerCredentials,
                Memory::address_of(&peer).value, Memory::address_of(&size).value);
  return !sys::failed(answer) && size == sizeof(peer) &&
         (peer.user == 0 || peer.user == static_cast<uint64_t>(sys::call(__NR_geteuid)));
}

// Its size.
uint64_t address_of_server(SocketAddress* address) {
  const size_t length = strlen(sysload_state.server_name);
  *address = {};
  address->family = kUnix;
  memcpy(address->path + 1, sysload_state.server_name, length);  // behind a NUL: no path
  return sizeof(address->family) + 1 + length;
}

}  // namespace

sys::Fd connect_to_server() {
  const sys::Fd through = door();
  return through >= 0 ? connect_through(through) : connect_by_name();
}

int64_t make_connected_pair(int32_t (&ends)[2]) {
  return sys::call(__NR_socketpair, kUnix, kSeqPacket | kCloseOnExec, 0,
                   Memory::address_of(&ends[0]).value);
}

sys::Fd connect_by_name() {
  if (sysload_state.server_name[0] == 0) return -1;
  const sys::Fd fd = sys::call(__NR_socket, kUnix, kSeqPacket | kCloseOnExec, 0);
  if (sys::failed(fd)) return fd;
  SocketAddress address;
  const uint64_t size = address_of_server(&address);
  const int64_t answer =
      sys::call(__NR_connect, static_cast<uint64_t>(fd), Memory::address_of(&address).value, size);
  if (!sys::failed(answer) && is_trusted(fd)) return fd;
  sys::close(fd);
  return sys::failed(answer) ? answer : -EACCES;
}

bool leads_to_server(sys::Fd fd) {
  SocketAddress address, peer{};
  const uint64_t wanted = address_of_server(&address);
  uint32_t size = sizeof(peer);
  const int64_t answer =
      sys::call(__NR_getpeername, static_cast<uint64_t>(fd), Memory::address_of(&peer).value,
                Memory::address_of(&size).value);
  return !sys::failed(answer) && size == wanted && memcmp(&peer, &address, wanted) == 0;
}

bool send_packet(sys::Fd socket, const ServerRequest& request, sys::Fd file) {
  const IoVector vector{Memory::address_of(&request).value, sizeof(request)};
  ControlWithFd control{kControlLength, kSolSocket, kScmRights, static_cast<int32_t>(file), 0};
  MessageHeader header{};
  header.vectors = Memory::address_of(&vector).value;
  header.vector_count = 1;
  if (file >= 0) {
    header.control = Memory::address_of(&control).value;
    header.control_length = sizeof(control);
  }
  return sys::call(__NR_sendmsg, static_cast<uint64_t>(socket), Memory::address_of(&header).value,
                   kMsgNoSignal) == static_cast<int64_t>(sizeof(request));
}

bool receive_packet(sys::Fd socket, ServerReply* reply, sys::Fd* attached) {
  const IoVector vector{Memory::address_of(reply).value, sizeof(*reply)};
  ControlWithFd control{};
  MessageHeader header{};
  header.vectors = Memory::address_of(&vector).value;
  header.vector_count = 1;
  header.control = Memory::address_of(&control).value;
  header.control_length = sizeof(control);
  const int64_t got = sys::call(__NR_recvmsg, static_cast<uint64_t>(socket),
                                Memory::address_of(&header).value, kMsgCmsgCloexec);
  if (got != static_cast<int64_t>(sizeof(*reply))) return false;
  const bool has_descriptor = header.control_length >= kControlLength && control.type == kScmRights;
  *attached = has_descriptor ? control.fd : -1;
  return true;
}

}  // namespace sysrewrite
