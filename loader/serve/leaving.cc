#include "loader/serve/leaving.h"

#include <asm/unistd.h>
#include <linux/errno.h>

#include "loader/engine/hook_set.h"
#include "loader/memory.h"
#include "loader/serve/door.h"
#include "loader/serve/program_memory.h"
#include "loader/serve/serve.h"
#include "loader/state.h"
#include "loader/syscalls.h"

namespace sysrewrite {

namespace {

// Source: linux, include/uapi/linux/sched.h.
constexpr uint64_t kCloneNewNet = 0x40000000;

constexpr uint32_t kClosing[] = {__NR_close, __NR_dup2, __NR_dup3, __NR_close_range};

bool is_answered(CallFrame* call, int64_t answer) {
  call->rax = static_cast<uint64_t>(answer);
  return true;
}

// Made here, so that it is known how it ended: who stays has no door.
bool leave(CallFrame* call, uint64_t number) {
  if (!open_door()) return false;
  const int64_t answer = sys::call(number, call->rdi, call->rsi);
  if (sys::failed(answer)) close_door(door());
  return is_answered(call, answer);
}

// 0: whatever namespace the descriptor is of.
bool may_be_network(uint64_t kind) {
  const auto wanted = static_cast<uint32_t>(kind);
  return wanted == 0 || leaves_network(wanted);
}

bool is_door(uint64_t fd) {
  return may_be_door(fd) && door() >= 0;
}

// As if it were not open.
bool close_one(CallFrame* call) {
  return is_door(call->rdi) && is_answered(call, -EBADF);
}

bool duplicate(const CallFrame& call) {
  if (is_door(call.rsi) && !may_be_door(call.rdi)) move_door(door());
  return false;
}

// Those below it, and those above it. With CLOSE_RANGE_UNSHARE the first part has made the table
// this process's own, and the second does so again. What is only marked (CLOSE_RANGE_CLOEXEC) is as
// it was.
bool close_range(CallFrame* call) {
  const auto first = static_cast<uint32_t>(call->rdi), last = static_cast<uint32_t>(call->rsi);
  const sys::Fd open = door();
  if (open < first || open > last) return false;
  const auto fd = static_cast<uint32_t>(open);
  int64_t answer = 0;
  if (first < fd) answer = sys::call(__NR_close_range, first, fd - 1, call->rdx);
  if (last > fd && !sys::failed(answer))
    answer = sys::call(__NR_close_range, fd + 1, last, call->rdx);
  return is_answered(call, answer);
}

}  // namespace

bool may_leave(uint64_t number) {
  return number == __NR_unshare || number == __NR_setns;
}

bool may_close_door(uint64_t number) {
  if (sysload_state.minus_door == 0) return false;
  for (const uint32_t closing : kClosing)
    if (number == closing) return true;
  return false;
}

bool serve_leaving(CallFrame* call) {
  switch (const auto number = static_cast<uint32_t>(call->rax)) {
    case __NR_unshare:
      return leaves_network(call->rdi) && leave(call, number);
    case __NR_setns:
      return may_be_network(call->rsi) && leave(call, number);
    case __NR_clone:
      if (leaves_network(call->rdi)) open_door();
      return false;
    case __NR_clone3:
      if (leaves_network(flags_of_clone3(call->rdi))) open_door();
      return false;
    case __NR_close:
      return close_one(call);
    case __NR_dup2:
    case __NR_dup3:
      return duplicate(*call);
    case __NR_close_range:
      return close_range(call);
    default:
      return false;
  }
}

uint64_t flags_of_clone3(uint64_t arguments) {
  uint64_t flags = 0;
  const auto into = Memory::bytes(Memory::address_of(&flags), sizeof(flags));
  return read_program(arguments, into) == sizeof(flags) ? flags : 0;
}

bool leaves_network(uint64_t flags) {
  return (flags & kCloneNewNet) != 0;
}

void watch_calls_of_door() {
  for (const uint32_t number : kClosing) want_service(number);
}

}  // namespace sysrewrite
