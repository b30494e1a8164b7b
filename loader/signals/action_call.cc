#include "loader/signals/action_call.h"

#include <asm/unistd.h>
#include <linux/errno.h>

#include <cstddef>
#include <cstring>

#include "loader/memory.h"
#include "loader/signals/handler_table.h"
#include "loader/signals/watched_signals.h"
#include "loader/state.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kEverySignal = ~uint64_t{0};

// The kernel alone can tell whether an address may be read, and does without changing anything
// where the signal's number is none. What lies on the stack need not be asked for.
bool can_be_read(const ActionInterlude& action) {
  constexpr uint64_t kNear = uint64_t{64} * 1024;
  const uint64_t from_here = action.common.rsi - Memory::address_of(&action).value;
  if (from_here < kNear) return true;
  return sys::call(__NR_rt_sigaction, 0, action.common.rsi, 0, SYSLOAD_SIGSET_SIZE) != -EFAULT;
}

}  // namespace

bool replace_action(uint64_t signal, KernelSigaction* given) {
  const bool is_handled = given->handler != kSigDefault && given->handler != kSigIgnore;
  if (!is_watched(signal)) {
    const uint64_t index = is_handled ? thunk_for(given->handler) : kNoThunk;
    if (index == kNoThunk) return false;
    given->handler = address_of_thunk(index);
    return true;
  }
  // What is ignored stays ignored in what the program executes.
  if (given->handler == kSigIgnore) return false;
  const uint64_t thunk = address_of_thunk(thunk_for_said(signal, as_kept(*given)));
  if (is_handled) {
    given->handler = thunk;
    given->flags = (given->flags | kSigInfo) & ~kSigResetHand;
  } else {
    // Nothing else strikes meanwhile, so nobody is shown the wrapper of a trap as what was struck.
    *given = {thunk, kSigWatching, Memory::address_of(sysload_restorer).value, kEverySignal};
  }
  return true;
}

// The handler comes last, and in one store: by it whoever interrupts this knows what is left to do.
void finish_action(const ActionInterlude& action) {
  if (action.result != 0 || action.common.rdx == 0) return;
  auto* const at = Memory::at<std::byte>({action.common.rdx});  // aligned or not
  KernelSigaction old{};
  memcpy(&old, at, sizeof(old));
  if (!is_thunk(old.handler)) return;
  const uint64_t index = index_of_thunk(old.handler);
  const KernelSigaction said = said_by(index);
  constexpr size_t kBehind = offsetof(KernelSigaction, flags);
  if (has_said_all(index)) memcpy(at + kBehind, &said.flags, sizeof(said) - kBehind);
  asm volatile("" ::: "memory");
  __builtin_memcpy(at, &said.handler, sizeof(said.handler));
}

// The address of the action that the kernel is to be given.
extern "C" [[gnu::used, gnu::visibility("hidden")]] uint64_t sysload_before_action(
    ActionInterlude* action) {
  const uint64_t signal = action->common.rdi & UINT32_MAX, wanted = action->common.rsi;
  if (wanted == 0 || action->r10 != SYSLOAD_SIGSET_SIZE || signal == 0 ||
      signal > uint64_t{kMostSignals} || signal == kSigKill || signal == kSigStop ||
      !can_be_read(*action))
    return wanted;
  memcpy(&action->given, Memory::at<const std::byte>({wanted}), sizeof(action->given));
  const bool is_replaced = replace_action(signal, &action->given);
  return is_replaced ? Memory::address_of(&action->given).value : wanted;
}

extern "C" [[gnu::used, gnu::visibility("hidden")]] void sysload_after_action(
    ActionInterlude* action) {
  finish_action(*action);
}

}  // namespace sysrewrite
