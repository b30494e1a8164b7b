#include "loader/serve/door.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

#include <algorithm>

#include "loader/engine/hook_set.h"
#include "loader/memory.h"
#include "loader/serve/connection.h"
#include "loader/serve/descriptor_limit.h"
#include "loader/serve/leaving.h"
#include "loader/state.h"

namespace sysrewrite {

namespace {

void set_door(sys::Fd fd) {
  sysload_state.minus_door = fd < 0 ? 0 : -static_cast<uint32_t>(fd);
}

// A little below 1,024, which is the usual limit, and where tables of descriptors that are larger
// begin to cost.
uint64_t usual_number() {
  constexpr uint64_t kUsualLimit = 1024, kBelow = 16;
  ResourceLimit limit{kUsualLimit, kUsualLimit};
  read_descriptor_limit(&limit);
  const uint64_t end = std::min(limit.current, kUsualLimit);
  return end > 2 * kBelow ? end - kBelow : end - 1;
}

// The program is to find the lowest numbers free.
sys::Fd move_up(sys::Fd fd, uint64_t from) {
  const sys::Fd moved = sys::call(__NR_fcntl, static_cast<uint64_t>(fd), F_DUPFD_CLOEXEC, from);
  sys::close(fd);
  return moved;
}

bool say_door(sys::Fd through, sys::Fd attached) {
  ServerRequest request{};
  request.kind = RequestKind::kDoor;
  return send_packet(through, request, attached);
}

}  // namespace

bool may_be_door(uint64_t fd) {
  const uint32_t minus = sysload_state.minus_door;
  return minus != 0 && static_cast<uint32_t>(fd) + minus == 0;
}

sys::Fd door() {
  const uint32_t minus = sysload_state.minus_door;
  const auto fd = static_cast<sys::Fd>(-minus);
  return minus != 0 && leads_to_server(fd) ? fd : -1;
}

bool open_door() {
  if (door() >= 0) return false;
  const sys::Fd socket = beyond_limit([] { return connect_by_name(); });
  if (sys::failed(socket)) return false;
  if (!say_door(socket, -1)) return sys::close(socket), false;
  const sys::Fd moved = move_up(socket, usual_number());
  if (sys::failed(moved)) return false;
  take_door(moved);
  return true;
}

void close_door(sys::Fd fd) {
  set_door(-1);
  sys::close(fd);
}

void move_door(sys::Fd fd) {
  set_door(move_up(fd, static_cast<uint64_t>(fd) + 1));
}

void take_door(sys::Fd fd) {
  set_door(fd);
  keep_over_exec(fd, false);
  if (sysload_state.interest != 0) watch_calls_of_door();
}

void keep_over_exec(sys::Fd fd, bool keep) {
  if (fd < 0) return;
  sys::call(__NR_fcntl, static_cast<uint64_t>(fd), F_SETFD, keep ? 0 : FD_CLOEXEC);
}

sys::Fd connect_through(sys::Fd door) {
  int32_t ends[2] = {-1, -1};
  const int64_t answer = make_connected_pair(ends);
  if (sys::failed(answer)) return answer;
  const bool sent = say_door(door, ends[1]);
  sys::close(ends[1]);
  if (sent) return ends[0];
  sys::close(ends[0]);
  return -ECONNREFUSED;
}

}  // namespace sysrewrite
