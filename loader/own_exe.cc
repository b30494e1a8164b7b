#include "loader/own_exe.h"

#include <cstring>

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

}  // namespace sysrewrite
