#include "loader/start/first_stop.h"

#include <asm/unistd.h>

#include "loader/state.h"

namespace sysrewrite {

// In start.S.
extern "C" [[noreturn, gnu::visibility("hidden")]] void sysload_resume(
    const KernelUcontext* context);

namespace {

constexpr uint64_t kUnblock = 1;

// As start_thread() leaves it, by way of rt_sigreturn: no general register but rsp and rip, and no
// floating-point state, which the kernel then makes anew. Source: linux,
// arch/x86/kernel/process_64.c, start_thread_common(); arch/x86/kernel/signal_64.c.
KernelUcontext state_at_start(RuntimeAddr entry, RuntimeAddr stack_pointer) {
  constexpr uint64_t kHasSs = 2, kKeepSs = 4;  // UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS
  constexpr uint64_t kUserCs = 0x33, kUserSs = 0x2b;
  constexpr uint64_t kInterruptsOn = 0x202;
  KernelUcontext context{};
  context.flags = kHasSs | kKeepSs;
  context.rip = entry.value;
  context.rsp = stack_pointer.value;
  context.flags_register = kInterruptsOn;
  context.segments = kUserCs | kUserSs << 48;
  return context;
}

}  // namespace

void let_out(uint64_t held, RuntimeAddr entry, RuntimeAddr stack_pointer) {
  if (held == 0) return;
  const uint64_t at = Memory::address_of(&held).value;
  uint64_t pending = 0;
  sys::call(__NR_rt_sigpending, Memory::address_of(&pending).value, SYSLOAD_SIGSET_SIZE);
  if ((pending & held) == 0) {
    sys::call(__NR_rt_sigprocmask, kUnblock, at, 0, SYSLOAD_SIGSET_SIZE);
    return;
  }
  KernelUcontext context = state_at_start(entry, stack_pointer);
  sys::call(__NR_sigaltstack, 0, Memory::address_of(&context.stack[0]).value);
  sys::call(__NR_rt_sigprocmask, kSigBlock, 0, Memory::address_of(&context.mask).value,
            SYSLOAD_SIGSET_SIZE);
  context.mask &= ~held;
  sysload_resume(&context);
}

}  // namespace sysrewrite
