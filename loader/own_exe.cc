#include "loader/own_exe.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/openat2.h>

#include <cstring>

#include "loader/memory.h"
#include "loader/program_memory.h"
#include "loader/serve.h"
#include "loader/state.h"

namespace sysrewrite {

namespace {

// What stands behind `prefix`, or nullptr.
const char* after(const char* text, const char* prefix) {
  while (*prefix != 0)
    if (*text++ != *prefix++) return nullptr;
  return text;
}

bool is_exe(const char* rest) {
  const char* end = rest == nullptr ? nullptr : after(rest, "/exe");
  return end != nullptr && *end == 0;
}

}  // namespace

void remember_own_exe(sys::Fd fd) {
  State& state = sysload_state;
  const char* path = sys::name_of(fd, state.exe_path, sizeof(state.exe_path));
  if (path == state.exe_path) state.exe_size = static_cast<uint32_t>(strlen(path));
}

bool names_own_exe(const char* path) {
  const char* rest = after(path, "/proc/");
  if (rest == nullptr) return false;
  if (is_exe(after(rest, "self")) || is_exe(after(rest, "thread-self"))) return true;
  uint64_t number = 0;
  while (*rest >= '0' && *rest <= '9' && number < UINT32_MAX)
    number = number * 10 + static_cast<uint64_t>(*rest++ - '0');
  return number == sys::pid() && is_exe(rest);
}

namespace {

// A call that takes a path and follows a link at its end.
struct PathCall {
  uint64_t* path;
  uint64_t* open_flags;  // nullptr: it opens nothing
};

bool is_set(uint64_t flags, uint64_t flag) {
  return (flags & flag) != 0;
}

// nullptr: the link itself is meant, or the call takes no path.
PathCall path_call(CallFrame& call, open_how* how) {
  switch (call.rax) {
    case __NR_open:
      if (is_set(call.rsi, O_NOFOLLOW)) return {};
      return {&call.rdi, &call.rsi};
    case __NR_openat:
      if (is_set(call.rdx, O_NOFOLLOW)) return {};
      return {&call.rsi, &call.rdx};
    case __NR_openat2: {
      // Source: linux, include/uapi/linux/openat2.h: a larger structure is a later kernel's.
      if (call.r10 != sizeof(*how) ||
          read_program(call.rdx, Memory::bytes(Memory::address_of(how), sizeof(*how))) !=
              sizeof(*how))
        return {};
      if (is_set(how->flags, O_NOFOLLOW) || how->resolve != 0) return {};
      call.rdx = Memory::address_of(how).value;
      static_assert(sizeof(how->flags) == sizeof(uint64_t));
      return {&call.rsi, Memory::at<uint64_t>(Memory::address_of(&how->flags))};
    }
    case __NR_stat:
    case __NR_access:
      return {&call.rdi, nullptr};
    case __NR_faccessat:
      return {&call.rsi, nullptr};
    case __NR_newfstatat:
    case __NR_faccessat2:
      if (is_set(call.r10, AT_SYMLINK_NOFOLLOW)) return {};
      return {&call.rsi, nullptr};
    case __NR_statx:
      if (is_set(call.rdx, AT_SYMLINK_NOFOLLOW)) return {};
      return {&call.rsi, nullptr};
    default:
      return {};
  }
}

int64_t make(const CallFrame& call) {
  return sys::call(static_cast<int64_t>(call.rax), call.rdi, call.rsi, call.rdx, call.r10, call.r8,
                   call.r9);
}

// Nobody writes a file that is being executed. What the kernel says of rights comes first.
int64_t open_to_write(const CallFrame& call, uint64_t* flags) {
  *flags &= ~uint64_t{O_TRUNC | O_CREAT};
  const int64_t answer = make(call);
  if (sys::failed(answer)) return answer;
  sys::close(static_cast<sys::Fd>(answer));
  return -ETXTBSY;
}

}  // namespace

bool serve_own_exe(const CallFrame& asked, int64_t* answer) {
  char name[64];
  if (sysload_state.exe_size == 0) return false;
  CallFrame call = asked;
  open_how how{};
  const PathCall path = path_call(call, &how);
  if (path.path == nullptr || read_program_string(*path.path, name, sizeof(name)) < 0 ||
      !names_own_exe(name))
    return false;
  *path.path = Memory::address_of(&sysload_state.exe_path[0]).value;
  const bool writes = path.open_flags != nullptr && !is_set(*path.open_flags, O_PATH) &&
                      is_set(*path.open_flags, O_WRONLY | O_RDWR | O_TRUNC);
  *answer = writes ? open_to_write(call, path.open_flags) : make(call);
  return true;
}

bool takes_path_of_exe(uint64_t number) {
  switch (number) {
    case __NR_open:
    case __NR_openat:
    case __NR_openat2:
    case __NR_stat:
    case __NR_newfstatat:
    case __NR_statx:
    case __NR_access:
    case __NR_faccessat:
    case __NR_faccessat2:
      return true;
    default:
      return false;
  }
}

}  // namespace sysrewrite
