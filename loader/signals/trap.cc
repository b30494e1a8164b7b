#include "loader/signals/trap.h"

#include <asm/unistd.h>

#include <optional>

#include "loader/memory.h"
#include "loader/signals/dispositions.h"
#include "loader/signals/position.h"
#include "loader/signals/site_tables.h"
#include "loader/state.h"

// The trap.
//
// A site of tier A or C is poisoned behind its jump, for whoever jumps straight to the syscall; a
// site of tier D is nothing but poison. F1 (icebp) raises SIGTRAP with si_code > 0. Which address
// the frame holds depends on the machine: under KVM that of F1, so that returning would trap again
// for ever; elsewhere the one behind it, where F4 (hlt) stands, which raises SIGSEGV once it runs.
// Both addresses name the same site, and the signal's number does not matter.
//
//   rip in the frame  ->  the site, by binary search  ->  rip = the stub's `enter`, and return
//
// `enter` lies behind the displaced instructions: whoever met the poison never passed the jump,
// and has executed them itself, or was not meant to.
//
// Who handles the signals: watched_signals.cc for a program without hooks, signals.cc for one with.
// What poison has not raised is the program's, or ends as it would have without sysload: the
// disposition goes back to its default, and the signal is queued once more with the same siginfo,
// while blocked, so that it strikes when the handler has returned, and a core file shows the
// program and not sysload. To wait for a fault to happen again would do for most, but not for int3,
// `int $4` or a frame that rt_sigreturn cannot read, nor for what was sent, whose si_code a program
// may choose for itself.
//
// Where a site is nothing but poison SIGTRAP must never be blocked: such a program has an engine,
// as one with hooks, which keeps the program's mask from the kernel (program_mask.h). In others
// poison that is met while SIGTRAP is blocked ends the process: it is met only by who jumps to a
// bare syscall instruction. The handler runs on the program's stack, or on its alternate one, where
// it set one up.

namespace sysrewrite {

namespace {

bool has_poison(const SiteRecord& site) {
  return site.tier == Tier::kInstruction || site.tier == Tier::kWindow || site.tier == Tier::kTrap;
}

constexpr int32_t kByKernel = 0x80;

// Sent by the program to itself, with the si_code of a fault: ignored, it would not have come. What
// looks like that and is a fault happens again; the others that do not are the kernel's beyond
// doubt, and kill.
bool may_be_forged(const Signal& signal) {
  const bool repeats = signal.number != kSigTrap && signal.number != kSigSys;
  return repeats && (signal.info.code != kByKernel || signal.info.address != 0);
}

}  // namespace

// Source: linux, include/uapi/asm-generic/siginfo.h; arch/x86/kernel/traps.c, exc_debug(),
// exc_int3(), exc_general_protection().
bool may_be_poisons(int signal, const KernelSiginfo& info) {
  if (signal == kSigTrap) return info.code > 0 && info.code != kByKernel;
  return signal == kSigSegv && info.code > 0;
}

bool is_forged(const Signal& signal) {
  // Source: Intel SDM vol. 3A, 6.3.1: #BP.
  constexpr uint64_t kBreakpoint = 3;
  const KernelSiginfo& info = signal.info;
  const KernelUcontext& context = signal.context;
  switch (static_cast<int>(signal.number)) {
    case kSigTrap:
      if (info.code == kByKernel) return context.trap != kBreakpoint;
      [[fallthrough]];
    case kSigIll:
    case kSigFpe:
    case kSigSys:
      return info.address != context.rip;
    case kSigSegv:
      return info.code != kByKernel && info.address != context.cr2;
    default:
      return false;
  }
}

namespace {

struct MetPoison {
  FoundSite found;
  uint64_t from_site;  // 0 or 1: which of its bytes
};

std::optional<MetPoison> poison_at(RuntimeAddr rip) {
  const FoundSite found = site_of_window(rip);
  if (found.site == nullptr || !has_poison(*found.site)) return std::nullopt;
  const uint64_t from_site = rip.value - found.table->base.value - found.site->site;
  if (from_site >= sizeof(kPoison)) return std::nullopt;
  return MetPoison{found, from_site};
}

}  // namespace

RuntimeAddr stub_behind_poison(RuntimeAddr rip) {
  const auto met = poison_at(rip);
  return met ? restart_in_stub(met->found) : RuntimeAddr{0};
}

RuntimeAddr back_to_poison(RuntimeAddr rip) {
  const auto met = poison_at(rip);
  return met ? RuntimeAddr{rip.value - met->from_site} : rip;
}

bool is_at_trap(RuntimeAddr rip) {
  const FoundSite found = site_of_stub(rip);
  return stub_behind_poison(rip).value != 0 ||
         (found.site != nullptr && restart_in_stub(found) == rip);
}

void act_by_default(const Signal& signal, uint64_t handler) {
  const bool is_sent = signal.info.code <= 0 || is_forged(signal);
  const bool is_ignored = handler == kSigIgnore;
  if (is_sent && is_ignored) return;
  const auto number = static_cast<int>(signal.number);
  const KernelSigaction by_default{kSigDefault, 0, 0, 0};
  set_action(number, &by_default, nullptr);
  if (is_ignored && may_be_forged(signal)) return;
  const uint64_t mask = uint64_t{1} << (number - 1);
  sys::call(__NR_rt_sigprocmask, kSigBlock, Memory::address_of(&mask).value, 0,
            SYSLOAD_SIGSET_SIZE);
  send_to_self(number, signal.info);
  // The frame may be that of a call which has let the signal through for its own time.
  signal.context.mask &= ~mask;
}

bool has_lone_poison(const RewrittenFile& file) {
  for (uint32_t i = 0; i < file.site_count(); ++i)
    if (file.site(i).tier == Tier::kTrap) return true;
  return false;
}

bool has_lone_poison() {
  SiteTables& tables = sysload_state.site_tables;
  for (uint32_t i = 0; i < tables.count; ++i)
    for (uint32_t j = 0; j < tables.all()[i].count; ++j)
      if (tables.all()[i].sites[j].tier == Tier::kTrap) return true;
  return false;
}

}  // namespace sysrewrite
