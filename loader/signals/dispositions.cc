#include "loader/signals/dispositions.h"

#include <asm/unistd.h>
#include <linux/errno.h>

#include "loader/label.h"
#include "loader/process_lock.h"
#include "loader/report.h"
#include "loader/serve/program_memory.h"
#include "loader/signals/put_off.h"
#include "loader/signals/signal_frame.h"
#include "loader/signals/trap.h"
#include "loader/state.h"

namespace sysrewrite {

namespace {

// Of what the program said, the flags that it is shown again.
constexpr uint64_t kAlwaysSet = kSigInfo;

extern "C" [[gnu::visibility("hidden")]] const std::byte sysload_signal_entry[];

}  // namespace

bool is_taken_over(int signal) {
  // The kernel may deliver it in the place of a trap's (signals.cc, is_taken_for_trap()).
  if (signal == kSigSys) return sysload_state.open_signals != 0;
  return signal == kSigIll || signal == kSigTrap || signal == kSigBus || signal == kSigFpe ||
         signal == kSigSegv;
}

namespace {

// Even where the program ignores it. What is ignored otherwise stays so in what it executes.
bool is_always_needed(int signal) {
  return (signal == kSigSys && sysload_state.exhaustive) ||
         (signal == kSigTrap && has_lone_poison());
}

// Nothing strikes meanwhile: of a program without an alternate stack, what the kernel delivers
// together with a trap would lie on the fault stack above it, which is small.
KernelSigaction watching_action() {
  constexpr uint64_t kEverySignal = ~uint64_t{0};
  return {address(sysload_signal_entry), kSigWatching, Memory::address_of(sysload_restorer).value,
          kEverySignal};
}

// What the kernel is given for a handler. What sysload watches, the kernel is not to reset.
KernelSigaction handled_action(int signal, const KernelSigaction& wanted) {
  KernelSigaction ours = wanted;
  ours.handler = address(sysload_signal_entry);
  ours.flags |= kAlwaysSet;
  if (is_taken_over(signal)) ours.flags &= ~kSigResetHand;
  return ours;
}

}  // namespace

void set_again(const ThreadBlock& block, int signal) {
  const KernelSigaction& wanted = block.signals->action[signal];
  if ((wanted.flags & kSigResetHand) == 0 || is_taken_over(signal)) return;
  const KernelSigaction ours = handled_action(signal, wanted);
  set_action(signal, &ours, nullptr);
}

void watch_faults() {
  SignalTable& table = sysload_state.hooks->signals;
  for (const int signal : {kSigIll, kSigTrap, kSigBus, kSigFpe, kSigSegv, kSigSys}) {
    if (!is_taken_over(signal)) continue;
    set_action(signal, nullptr, &table.action[signal]);
    if (table.action[signal].handler == kSigIgnore && !is_always_needed(signal)) continue;
    const KernelSigaction ours = watching_action();
    const int64_t answer = set_action(signal, &ours, nullptr);
    if (sys::failed(answer))
      fail_errno(answer, "hooks", "cannot handle signal ", static_cast<uint64_t>(signal));
  }
  sysload_state.watches_faults = true;
}

// Source: linux, kernel/signal.c, flush_signal_handlers(): what is ignored stays so, and nothing
// else does.
void clear_handlers(const ThreadBlock& block) {
  for (KernelSigaction& action : block.signals->action)
    action = {action.handler == kSigIgnore ? kSigIgnore : kSigDefault, 0, 0, 0};
  for (const int signal : {kSigIll, kSigTrap, kSigBus, kSigFpe, kSigSegv, kSigSys}) {
    const bool is_ignored = block.signals->action[signal].handler == kSigIgnore;
    const KernelSigaction ours = watching_action();
    if (is_taken_over(signal) && (!is_ignored || is_always_needed(signal)))
      set_action(signal, &ours, nullptr);
  }
}

namespace {

// A disposition that execve is to find: what is ignored is ignored in the new program, too.
void set_ignored(const ThreadBlock& block, const KernelSigaction& action) {
  for (const int signal : {kSigTrap, kSigSys}) {
    const bool is_open = (sysload_state.open_signals >> (signal - 1) & 1) != 0;
    if (is_open && block.signals->action[signal].handler == kSigIgnore)
      set_action(signal, &action, nullptr);
  }
}

}  // namespace

void ignore_for_exec(const ThreadBlock& block) {
  set_ignored(block, {kSigIgnore, 0, 0, 0});
}

void watch_after_exec(const ThreadBlock& block) {
  set_ignored(block, watching_action());
}

int64_t serve_sigaction(ThreadBlock* block, uint64_t number, uint64_t action, uint64_t old_action,
                        uint64_t size) {
  if (size != SYSLOAD_SIGSET_SIZE) return -EINVAL;
  KernelSigaction wanted{}, old{};
  const auto bytes = [](KernelSigaction& value) {
    return Memory::bytes(Memory::address_of(&value), sizeof(value));
  };
  if (action != 0 && read_program(action, bytes(wanted)) != sizeof(wanted)) return -EFAULT;
  const auto signal = static_cast<int>(number);
  if (signal < 1 || signal > kMostSignals) return -EINVAL;
  const bool changes = action != 0;
  const bool handles = wanted.handler != kSigDefault && wanted.handler != kSigIgnore;
  const ProcessLock lock(Guarded::kSignals);  // table and kernel change together
  KernelSigaction& kept = block->signals->action[signal];
  const KernelSigaction before = kept;
  KernelSigaction given = wanted;
  if (changes && signal != kSigKill && signal != kSigStop) {
    kept = as_kept(wanted);
    if (handles)
      given = handled_action(signal, wanted);
    else if (is_taken_over(signal) && (wanted.handler == kSigDefault || is_always_needed(signal)))
      given = watching_action();
  }
  const int64_t answer = set_action(signal, changes ? &given : nullptr, &old);
  if (sys::failed(answer)) {
    kept = before;
    return answer;
  }
  if (changes) kept = as_kept(wanted);
  if (changes && wanted.handler == kSigIgnore) forget_put_off(block, signal);
  if (old_action == 0) return answer;
  if (old.handler == address(sysload_signal_entry))
    old = before;
  else if ((before.flags & kSigInfo) == 0)  // reset by the kernel, which keeps the flags
    old.flags &= ~kAlwaysSet;
  return write_program(old_action, as_byte_view(&old, sizeof(old)));
}

}  // namespace sysrewrite
