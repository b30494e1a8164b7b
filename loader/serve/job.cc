#include "loader/serve/job.h"

#include <asm/ioctls.h>
#include <asm/stat.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>

#include "loader/memory.h"
#include "loader/serve/answers.h"
#include "loader/serve/descriptor_limit.h"
#include "loader/syscalls.h"
#include "trampoline/pipeline.h"

namespace sysrewrite {

namespace {

// The kernel takes an int and looks at no more.
bool is_caller(uint64_t asked, uint32_t own) {
  return static_cast<uint32_t>(asked) == 0 || static_cast<uint32_t>(asked) == own;
}

// Others of a pipeline want the terminal, too: they are in the group where natively all are.
bool joins(uint64_t file) {
  struct stat status {};
  const int64_t asked = sys::call(__NR_fstat, file, Memory::address_of(&status).value);
  return !sys::failed(asked) && joins_programs(status.st_mode);
}

// From behind a terminal this is allowed where SIGTTOU is blocked, as all signals are here. Source:
// linux, drivers/tty/tty_jobctrl.c, __tty_check_change().
void put_in_front(uint32_t group, uint32_t instead_of) {
  const char name[] = "/dev/tty";
  const uint64_t path = Memory::address_of(&name[0]).value;
  const sys::Fd terminal = beyond_limit([path] {
    return sys::call(__NR_openat, static_cast<uint64_t>(AT_FDCWD), path,
                     O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  });
  if (sys::failed(terminal)) return;
  const auto fd = static_cast<uint64_t>(terminal);
  uint32_t front = 0;
  const int64_t asked = sys::call(__NR_ioctl, fd, TIOCGPGRP, Memory::address_of(&front).value);
  if (!sys::failed(asked) && front == instead_of)
    sys::call(__NR_ioctl, fd, TIOCSPGRP, Memory::address_of(&group).value);
  sys::close(terminal);
}

}  // namespace

bool serve_setpgid(uint64_t pid, uint64_t group, int64_t* answer) {
  const uint32_t own = sys::pid(), server = pid_of_server();
  if (server == 0 || !is_caller(pid, own) || !is_caller(group, own)) return false;
  // Nobody but the first program has `run` for its parent, and a group of this number has been made
  // by nobody else.
  const auto old = static_cast<uint32_t>(sys::call(__NR_getpgid, 0));
  if (old != server || static_cast<uint32_t>(sys::call(__NR_getppid)) != server) return false;
  *answer = sys::call(__NR_setpgid, 0, 0);
  constexpr uint64_t kStandardInput = 0, kStandardOutput = 1;
  if (!sys::failed(*answer) && !joins(kStandardInput) && !joins(kStandardOutput))
    put_in_front(own, old);
  return true;
}

}  // namespace sysrewrite
