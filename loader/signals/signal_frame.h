// What the kernel and a signal handler say to each other, as far as sysload's own handlers need it.
// libc's headers of the same structures clash with the kernel's.
#ifndef SYSREWRITE_LOADER_SIGNALS_SIGNAL_FRAME_H_
#define SYSREWRITE_LOADER_SIGNALS_SIGNAL_FRAME_H_

#include <asm/unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "loader/abi.h"
#include "loader/memory.h"
#include "loader/syscalls.h"

namespace sysrewrite {

// Source: linux, include/linux/signal_types.h, arch/x86/include/uapi/asm/signal.h.
struct KernelSigaction {
  uint64_t handler;
  uint64_t flags;
  uint64_t restorer;
  uint64_t mask;
};
// Source: linux, arch/x86/include/uapi/asm/signal.h.
inline constexpr int kSigIll = 4, kSigTrap = 5, kSigBus = 7, kSigFpe = 8, kSigKill = 9,
                     kSigSegv = 11, kSigStop = 19, kSigSys = 31;
inline constexpr uint64_t kSigDefault = 0, kSigIgnore = 1;
inline constexpr uint64_t kSigInfo = 0x00000004, kSigRestorer = 0x04000000,
                          kSigOnStack = 0x08000000, kSigNoDefer = 0x40000000,
                          kSigResetHand = 0x80000000;
inline constexpr uint64_t kSigBlock = 0;
inline constexpr int kMostSignals = 64;
// Of the action by which sysload handles a signal that the program does not.
inline constexpr uint64_t kSigWatching = kSigInfo | kSigRestorer | kSigOnStack | kSigNoDefer;

// Source: linux, arch/x86/include/uapi/asm/sigcontext.h, struct sigcontext_64, behind uc_flags,
// uc_link and uc_stack of struct ucontext.
struct KernelUcontext {
  uint64_t flags, link, stack[3];
  uint64_t r8, r9, r10, r11, r12_to_rax[10];  // r12 ... r15, rdi, rsi, rbp, rbx, rdx, rax
  uint64_t rcx, rsp, rip;
  uint64_t flags_register;
  uint64_t segments, error, trap, old_mask, cr2, fpstate, reserved[8];
  uint64_t mask;  // signals
};
static_assert(offsetof(KernelUcontext, rip) == 40 + 16 * 8);
static_assert(offsetof(KernelUcontext, mask) == 40 + 32 * 8);

// Indices in KernelUcontext::r12_to_rax, by name.
enum Saved : size_t { kR12 = 0, kRdi = 4, kRsi = 5, kRbp = 6, kRbx = 7, kRdx = 8, kRax = 9 };

// `address` is that of a fault or a call; other signals have something else there.
struct KernelSiginfo {
  int32_t signo, errno_value, code, unused;
  uint64_t address;
  std::byte rest[104];
};
static_assert(sizeof(KernelSiginfo) == 128);
static_assert(offsetof(KernelSiginfo, address) == 16);

// Of a signal in a mask.
constexpr uint64_t bit_of(int signal) {
  return uint64_t{1} << (signal - 1);
}

// Whether the siginfo names the place at which the thread is: the instruction that has raised it,
// or the one behind a call that a filter or a dispatcher has caught.
// Source: linux, arch/x86/kernel/traps.c; kernel/signal.c, force_sig_seccomp().
inline bool names_place(uint64_t signal, const KernelSiginfo& info, uint64_t rip) {
  const bool is_of_place =
      signal == kSigIll || signal == kSigTrap || signal == kSigFpe || signal == kSigSys;
  return is_of_place && info.code > 0 && info.address == rip;
}

// Whether a call that was caught is one of the i386 table: by `int $0x80`.
// Source: linux, include/uapi/asm-generic/siginfo.h: _call_addr, _syscall, _arch.
inline bool is_i386_call(const KernelSiginfo& info) {
  constexpr uint32_t kI386 = 0x40000003;  // AUDIT_ARCH_I386
  uint32_t architecture = 0;
  memcpy(&architecture, &info.rest[4], sizeof(architecture));
  return architecture == kI386;
}

// Of a program that steps itself. What it has stepped over may have cleared TF.
// Source: linux, arch/x86/kernel/traps.c, exc_debug_user(): TRAP_TRACE.
inline bool is_step(uint64_t signal, const KernelSiginfo& info, const KernelUcontext& context) {
  constexpr int32_t kTrace = 2;
  return signal == kSigTrap && info.code == kTrace && info.address == context.rip;
}

inline bool goes_on_stepping(const KernelUcontext& context) {
  return (context.flags_register & SYSLOAD_TRAP_FLAG) != 0;
}

// A signal as its handler gets it: its number, and what the kernel has put into its frame.
struct Signal {
  uint64_t number;
  KernelSiginfo& info;
  KernelUcontext& context;
};

// From the arguments of a handler.
inline Signal signal_at(uint64_t number, uint64_t info, uint64_t context) {
  return {number, *Memory::at<KernelSiginfo>({info}), *Memory::at<KernelUcontext>({context})};
}

// One that waits until the program takes it.
struct HeldSignal {
  uint32_t state;
  KernelSiginfo info;
};

// The flags, with those that lahf and seto have put into ax.
inline uint64_t with_flags_of(uint64_t ax, uint64_t flags) {
  constexpr uint64_t kFromAh = 0xd5, kOverflow = 0x800;
  return (flags & ~(kFromAh | kOverflow)) | (ax >> 8 & kFromAh) | ((ax & 1) != 0 ? kOverflow : 0);
}

// What the kernel keeps of an action, and says again: since 5.11 only the flags that it knows.
// Source: linux, kernel/signal.c, do_sigaction().
inline KernelSigaction as_kept(const KernelSigaction& action) {
  constexpr uint64_t kKnown = 0xdc000807;
  constexpr uint64_t kNeverBlocked = uint64_t{1} << (kSigKill - 1) | uint64_t{1} << (kSigStop - 1);
  return {action.handler, action.flags & kKnown, action.restorer, action.mask & ~kNeverBlocked};
}

inline int64_t set_action(int signal, const KernelSigaction* wanted, KernelSigaction* old) {
  return sys::call(__NR_rt_sigaction, static_cast<uint64_t>(signal),
                   Memory::address_of(wanted).value, Memory::address_of(old).value,
                   SYSLOAD_SIGSET_SIZE);
}

// Queues a signal once more for this thread, as it came. It must be blocked. An errno where the
// kernel has no room for it (put_off.cc).
inline int64_t send_to_self(int signal, const KernelSiginfo& info) {
  return sys::call(__NR_rt_tgsigqueueinfo, sys::pid(), sys::tid(), static_cast<uint64_t>(signal),
                   Memory::address_of(&info).value);
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_SIGNAL_FRAME_H_
