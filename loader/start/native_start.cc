#include "loader/start/native_start.h"

#include <asm/stat.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>

#include "loader/memory.h"
#include "loader/report.h"
#include "loader/start/publish.h"

namespace sysrewrite {

namespace {

bool leads_to(const char* path, sys::Fd fd) {
  struct stat by_path {
  }, by_fd{};
  const uint64_t name = Memory::address_of(path).value;
  return !sys::failed(sys::call(__NR_stat, name, Memory::address_of(&by_path).value)) &&
         !sys::failed(
             sys::call(__NR_fstat, static_cast<uint64_t>(fd), Memory::address_of(&by_fd).value)) &&
         by_path.st_dev == by_fd.st_dev && by_path.st_ino == by_fd.st_ino;
}

}  // namespace

// By its path where that is right, since AT_EXECFN and comm come from there.
void start_natively(const StackView& stack, const char* path, sys::Fd fd,
                    const std::optional<uint64_t>& mask) {
  constexpr uint64_t kWord = sizeof(uint64_t);
  const uint64_t argv = stack.stack_pointer().value + kWord;
  const uint64_t envp = argv + (stack.argc() + 1) * kWord;
  const auto file = static_cast<uint64_t>(fd);
  const bool by_path = fd < 0 || leads_to(path, fd);
  const char* const name = by_path ? path : "";
  if (fd >= 0) sys::call(__NR_fcntl, file, F_SETFD, FD_CLOEXEC);
  if (mask) set_signal_mask(*mask);
  const int64_t answer = by_path
                             ? sys::call(__NR_execve, Memory::address_of(name).value, argv, envp)
                             : sys::call(__NR_execveat, file, Memory::address_of(name).value, argv,
                                         envp, AT_EMPTY_PATH);
  fail_errno(answer, "program", "cannot execute ", path);
}

}  // namespace sysrewrite
