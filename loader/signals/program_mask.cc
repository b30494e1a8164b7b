#include "loader/signals/program_mask.h"

#include <asm/unistd.h>
#include <linux/errno.h>

#include "loader/memory.h"
#include "loader/serve/follow.h"
#include "loader/serve/program_memory.h"
#include "loader/signals/held_signals.h"
#include "loader/signals/pending_view.h"
#include "loader/signals/signals.h"
#include "loader/state.h"

namespace sysrewrite {

namespace {

// Source: linux, include/uapi/asm-generic/signal-defs.h.
constexpr uint64_t kUnblock = 1;

// Where a call that waits for a signal is told of it.
constexpr size_t kInfoArgument = 1;

// Where sysload is told of it, and sees whether the thread was poked.
uint64_t own_info_of(const ThreadBlock& block) {
  return Memory::address_of(&block.awaited_info).value;
}

// Which open signals the thread waits for by its call.
uint64_t awaited_by(const sysload_call& call) {
  uint64_t set = 0;
  if (call.number != __NR_rt_sigtimedwait) return 0;
  read_program(call.argument[0], Memory::bytes(Memory::address_of(&set), sizeof(set)));
  return set & sysload_state.open_signals;
}

// The mask that a call has for its own time, of those that end with EINTR where no handler has run:
// all others the kernel makes again (ERESTARTNOHAND).
uint64_t mask_of(const sysload_call& call, uint64_t otherwise) {
  constexpr size_t kMask = 4, kPair = 5;
  uint64_t at = 0, mask = otherwise;
  if (call.number == __NR_epoll_pwait || call.number == __NR_epoll_pwait2)
    at = call.argument[kMask];
  else if (call.number == __NR_io_pgetevents && call.argument[kPair] != 0)
    read_program(call.argument[kPair], Memory::bytes(Memory::address_of(&at), sizeof(at)));
  if (at != 0) read_program(at, Memory::bytes(Memory::address_of(&mask), sizeof(mask)));
  return mask;
}

// The kernel finds two threads that take what was sent to the process: this one by its call's mask,
// and one that runs its own code, where the program has it blocked. It has woken the one, and given
// it to the other, which holds it for this one, or is about to.
bool may_have_been_woken_for_another(const ThreadBlock& block) {
  const uint64_t opened = block.masked & ~mask_of(block.call, block.masked);
  bool is_there = false;
  for_each_open_signal([&](int signal) {
    is_there = is_there || ((opened & bit_of(signal)) != 0 && may_be_with_another(signal));
  });
  return is_there;
}

}  // namespace

void open_program_mask(ThreadBlock* block, uint64_t held) {
  const uint64_t open = sysload_state.open_signals & ~held;
  if (open == 0) return;
  // What was pending when the program was executed would strike here.
  hold_pending(block, open);
  uint64_t mask = 0;
  sys::call(__NR_rt_sigprocmask, kUnblock, Memory::address_of(&open).value,
            Memory::address_of(&mask).value, SYSLOAD_SIGSET_SIZE);
  block->masked = mask & open;
}

bool needs_mask(const ThreadBlock& block, uint64_t number) {
  if (sysload_state.open_signals == 0) return false;
  return block.masked != 0 || number == __NR_rt_sigprocmask || is_exec(number);
}

void lend_mask(ThreadBlock* block) {
  keep_signals_away(block);
  block->awaits = awaited_by(block->call);
  block->looks = looks_at_pending(block->call.number);
  block->was_poked_in_vain = false;
  if (block->awaits != 0) {
    block->asked_info = block->call.argument[kInfoArgument];
    block->call.argument[kInfoArgument] = own_info_of(*block);
  }
  send_all_again(block, sysload_state.open_signals);
  block->mask |= block->masked;
  block->lends = true;
}

void split_mask(ThreadBlock* block) {
  const uint64_t open = sysload_state.open_signals;
  block->masked = block->mask & open;
  block->mask &= ~open;
  block->awaits = 0;
  block->looks = false;
  block->lends = false;
}

void take_mask_back(ThreadBlock* block) {
  keep_signals_away(block);
  split_mask(block);
  send_all_again(block, ~block->masked);
}

void take_apart_frame_mask(ThreadBlock* block, uint64_t frame) {
  const uint64_t open = sysload_state.open_signals;
  if (open == 0) return;
  const uint64_t at = frame + offsetof(KernelUcontext, mask);
  uint64_t mask = 0;
  if (read_program(at, Memory::bytes(Memory::address_of(&mask), sizeof(mask))) != sizeof(mask))
    return;  // the kernel ends the program
  keep_signals_away(block);
  block->mask = ~uint64_t{0};
  block->masked = mask & open;
  send_all_again(block, ~block->masked);
  mask &= ~open;
  write_program(at, as_byte_view(&mask, sizeof(mask)));
}

bool is_masked(const ThreadBlock& block, int signal) {
  return !block.lends && (block.masked & bit_of(signal)) != 0;
}

bool was_woken_in_vain(const ThreadBlock& block) {
  if (static_cast<int64_t>(block.result) != -EINTR) return false;
  if (block.awaits != 0) return true;
  return block.looks && (block.was_poked_in_vain || may_have_been_woken_for_another(block));
}

bool take_info_back(ThreadBlock* block) {
  uint64_t& argument = block->call.argument[kInfoArgument];
  if (block->call.number != __NR_rt_sigtimedwait || argument != own_info_of(*block)) return false;
  argument = block->asked_info;
  return true;
}

void take_what_was_awaited(ThreadBlock* block) {
  const auto result = static_cast<int64_t>(block->result);
  if (!take_info_back(block) || result <= 0) return;
  const auto signal = static_cast<int>(result);
  KernelSiginfo& info = block->awaited_info;
  int64_t error = 0;
  if (is_open_signal(signal) && !take_held_signal(block, signal, &info))
    error = -EINTR;
  else if (block->asked_info != 0)
    error = write_program(block->asked_info, as_byte_view(&info, sizeof(info)));
  if (error != 0) block->result = static_cast<uint64_t>(error);
}

void mend_mask(ThreadBlock* block, KernelUcontext* context, bool was_lent, bool runs_handler) {
  const uint64_t open = sysload_state.open_signals;
  if (open == 0) return;
  const uint64_t before = was_lent ? context->mask & open : block->masked;
  if (!runs_handler) {
    block->masked = before;
    block->lends = false;
    context->mask &= ~open;
    return;
  }
  context->mask |= before;
  take_mask_back(block);
  // Where it was lent the kernel has counted it in, or another one for the time of the call.
  if (!was_lent) block->masked |= before;
}

}  // namespace sysrewrite
