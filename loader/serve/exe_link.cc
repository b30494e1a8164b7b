#include "loader/serve/exe_link.h"

#include <asm/stat.h>
#include <asm/statfs.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/magic.h>

#include "loader/memory.h"
#include "loader/syscalls.h"
#include "loader/text.h"

namespace sysrewrite {

namespace {

bool is_exe(const char* rest) {
  const char* end = rest == nullptr ? nullptr : after(rest, "/exe");
  return end != nullptr && *end == 0;
}

bool is_own_process(const char* path) {
  return is_exe(after(path, "self")) || is_exe(after(path, "thread-self"));
}

bool find(int32_t directory, const char* path, struct stat* status) {
  return !sys::failed(sys::call(__NR_newfstatat, static_cast<uint64_t>(int64_t{directory}),
                                Memory::address_of(path).value, Memory::address_of(status).value));
}

bool are_same(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

bool is_in_procfs(int32_t directory) {
  struct statfs system {};
  const uint64_t into = Memory::address_of(&system).value;
  const int64_t answer =
      directory == AT_FDCWD
          ? sys::call(__NR_statfs, Memory::address_of(".").value, into)
          : sys::call(__NR_fstatfs, static_cast<uint64_t>(int64_t{directory}), into);
  return !sys::failed(answer) && system.f_type == PROC_SUPER_MAGIC;
}

// Source: linux, include/linux/proc_fs.h.
constexpr uint64_t kRootOfProc = 1;

}  // namespace

bool is_exe_link(int32_t directory, const char* path) {
  if (const char* rest = after(path, "/proc/")) {
    if (is_own_process(rest)) return true;
    uint64_t number = 0;
    while (*rest >= '0' && *rest <= '9' && number < UINT32_MAX)
      number = number * 10 + static_cast<uint64_t>(*rest++ - '0');
    return number == sys::pid() && is_exe(rest);
  }
  const bool is_below = is_own_process(path);
  struct stat here {
  }, own{};
  if ((!is_below && !equal(path, "exe")) || !is_in_procfs(directory) ||
      !find(directory, ".", &here))
    return false;
  if (is_below) return here.st_ino == kRootOfProc;
  // The two lie below the root, and below PID/task.
  return (find(directory, "../self", &own) && are_same(here, own)) ||
         (find(directory, "../../../thread-self", &own) && are_same(here, own));
}

}  // namespace sysrewrite
