#include "loader/signals/program_mask.h"

#include <asm/unistd.h>
#include <linux/errno.h>

#include "loader/memory.h"
#include "loader/serve/program_memory.h"
#include "loader/signals/signals.h"
#include "loader/state.h"

namespace sysrewrite {

namespace {

// Source: linux, include/uapi/asm-generic/siginfo.h: sent to one thread, by tkill or tgkill.
constexpr int32_t kSentToThread = -6;
// A code of sysload's own.
constexpr int32_t kPoke = -0x706f;
// Source: linux, include/uapi/asm-generic/signal-defs.h.
constexpr uint64_t kUnblock = 1;

constexpr uint64_t bit(int signal) {
  return uint64_t{1} << (signal - 1);
}

uint32_t place_of(int signal) {
  return signal == kSigTrap ? 0 : 1;
}

// Calls `use` with each open signal.
template <typename Use>
void for_each_open(Use use) {
  for (const int signal : {kSigTrap, kSigSys})
    if ((sysload_state.open_signals & bit(signal)) != 0) use(signal);
}

enum HeldState : uint32_t { kFree = 0, kBusy = 1, kHeld = 2 };

bool claim(HeldSignal* held, uint32_t from) {
  return __atomic_compare_exchange_n(&held->state, &from, kBusy, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED);
}

void release(HeldSignal* held, uint32_t state) {
  __atomic_store_n(&held->state, state, __ATOMIC_RELEASE);
}

// Of two that wait the kernel keeps the first.
void put(HeldSignal* held, const KernelSiginfo& info) {
  if (!claim(held, kFree)) return;
  held->info = info;
  release(held, kHeld);
}

bool take(HeldSignal* held, KernelSiginfo* info) {
  if (!claim(held, kHeld)) return false;
  *info = held->info;
  release(held, kFree);
  return true;
}

// Until `use` says true of one; false where it never does, or all have blocked the signal. A block
// that nobody has any more names a thread that is not there.
template <typename Use>
bool any_other_that_takes(const ThreadBlock& own, int signal, Use use) {
  for (const ThreadBlock* block = sysload_state.all_blocks; block != nullptr;
       block = block->all_next) {
    const bool takes = (block->masked & bit(signal)) == 0 || (block->awaits & bit(signal)) != 0;
    if (block != &own && block->tid != 0 && takes && use(*block)) return true;
  }
  return false;
}

bool send_to(uint32_t tid, int signal, const KernelSiginfo& info) {
  return !sys::failed(sys::call(__NR_rt_tgsigqueueinfo, sys::pid(), tid,
                                static_cast<uint64_t>(signal), Memory::address_of(&info).value));
}

bool exists(uint32_t tid) {
  return !sys::failed(sys::call(__NR_tgkill, sys::pid(), tid, 0));
}

// The kernel lets nobody forge for another thread what a kill says of its sender, so what was sent
// stays where it is, and a signal that nobody else sends leads the other one there.
void poke_another(const ThreadBlock& own, int signal) {
  const KernelSiginfo poke{signal, 0, kPoke, 0, 0, {}};
  any_other_that_takes(own, signal,
                       [&](const ThreadBlock& other) { return send_to(other.tid, signal, poke); });
}

// Only a process's first thread may queue again for the process what a kill says of its sender.
void send_to_process(int signal, const KernelSiginfo& info) {
  const int64_t answer = sys::call(__NR_rt_sigqueueinfo, sys::pid(), static_cast<uint64_t>(signal),
                                   Memory::address_of(&info).value);
  if (sys::failed(answer)) send_to_self(signal, info);
}

// Into the kernel's queues, while all signals are blocked. What is everybody's stays where another
// thread is about to take it.
void send_again(ThreadBlock* block, uint64_t signals) {
  for_each_open([&](int signal) {
    if ((signals & bit(signal)) == 0) return;
    HeldSignal& everybodys = sysload_state.held[place_of(signal)];
    KernelSiginfo info{};
    const auto is_there = [](const ThreadBlock& other) { return exists(other.tid); };
    if (take(&block->held[place_of(signal)], &info)) send_to_self(signal, info);
    if (__atomic_load_n(&everybodys.state, __ATOMIC_RELAXED) != kHeld) return;
    const bool is_mine = (block->masked & bit(signal)) == 0;
    if (!is_mine && any_other_that_takes(*block, signal, is_there)) return;
    if (take(&everybodys, &info)) send_to_process(signal, info);
  });
}

// Which open signals the thread waits for by its call.
uint64_t awaited_by(const sysload_call& call) {
  uint64_t set = 0;
  if (call.number != __NR_rt_sigtimedwait) return 0;
  read_program(call.argument[0], Memory::bytes(Memory::address_of(&set), sizeof(set)));
  return set & sysload_state.open_signals;
}

}  // namespace

void open_program_mask(ThreadBlock* block, uint64_t held) {
  const uint64_t open = sysload_state.open_signals & ~held;
  if (open == 0) return;
  // What was pending when the program was executed would strike here.
  KernelSiginfo info{};
  const uint64_t no_time[2] = {0, 0};
  int64_t signal = 0;
  while (
      !sys::failed(signal = sys::call(__NR_rt_sigtimedwait, Memory::address_of(&open).value,
                                      Memory::address_of(&info).value,
                                      Memory::address_of(&no_time[0]).value, SYSLOAD_SIGSET_SIZE)))
    put(&block->held[place_of(static_cast<int>(signal))], info);
  uint64_t mask = 0;
  sys::call(__NR_rt_sigprocmask, kUnblock, Memory::address_of(&open).value,
            Memory::address_of(&mask).value, SYSLOAD_SIGSET_SIZE);
  block->masked = mask & open;
}

bool needs_mask(const ThreadBlock& block, uint64_t number) {
  if (sysload_state.open_signals == 0) return false;
  return block.masked != 0 || number == __NR_rt_sigprocmask || number == __NR_execve ||
         number == __NR_execveat;
}

void lend_mask(ThreadBlock* block) {
  keep_signals_away(block);
  // Whoever holds a signal looks for those who wait behind it, and so finds this thread, or is
  // found.
  block->awaits = awaited_by(block->call);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  send_again(block, sysload_state.open_signals);
  block->mask |= block->masked;
  block->lends = true;
}

void split_mask(ThreadBlock* block) {
  const uint64_t open = sysload_state.open_signals;
  block->masked = block->mask & open;
  block->mask &= ~open;
  block->awaits = 0;
  block->lends = false;
}

void take_mask_back(ThreadBlock* block) {
  keep_signals_away(block);
  split_mask(block);
  send_again(block, ~block->masked);
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
  send_again(block, ~block->masked);
  mask &= ~open;
  write_program(at, as_byte_view(&mask, sizeof(mask)));
}

bool is_masked(const ThreadBlock& block, int signal) {
  return !block.lends && (block.masked & bit(signal)) != 0;
}

void hold_signal(ThreadBlock* block, int signal, const KernelSiginfo& info) {
  // The code of a fault nobody but the thread can have queued, or the process's first one.
  if (info.code == kSentToThread || info.code > 0) return put(&block->held[place_of(signal)], info);
  if (info.code != kPoke) put(&sysload_state.held[place_of(signal)], info);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  poke_another(*block, signal);
}

bool take_held_signal(int signal, KernelSiginfo* info) {
  return info->code != kPoke || take(&sysload_state.held[place_of(signal)], info);
}

bool was_woken_in_vain(const ThreadBlock& block) {
  return block.awaits != 0 && static_cast<int64_t>(block.result) == -EINTR;
}

void take_what_was_awaited(ThreadBlock* block) {
  const auto result = static_cast<int64_t>(block->result);
  const bool is_open =
      result > 0 && (sysload_state.open_signals & bit(static_cast<int>(result))) != 0;
  KernelSiginfo info{};
  const auto bytes = Memory::bytes(Memory::address_of(&info), sizeof(info));
  const uint64_t at = block->call.argument[1];
  if (!is_open || at == 0 || read_program(at, bytes) != sizeof(info) || info.code != kPoke) return;
  if (take_held_signal(static_cast<int>(result), &info))
    write_program(at, as_byte_view(&info, sizeof(info)));
  else
    block->result = static_cast<uint64_t>(int64_t{-EINTR});
}

void forget_held_signals(ThreadBlock* block) {
  for (HeldSignal& held : block->held) held.state = kFree;
  for (HeldSignal& held : sysload_state.held) held.state = kFree;
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
