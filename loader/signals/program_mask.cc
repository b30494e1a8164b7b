#include "loader/signals/program_mask.h"

#include <asm/unistd.h>
#include <linux/errno.h>

#include "loader/memory.h"
#include "loader/serve/follow.h"
#include "loader/serve/program_memory.h"
#include "loader/signals/pending_view.h"
#include "loader/signals/signals.h"
#include "loader/state.h"

namespace sysrewrite {

namespace {

// Source: linux, include/uapi/asm-generic/siginfo.h: sent to one thread, by tkill or tgkill.
constexpr int32_t kSentToThread = -6;
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

bool is_held(const HeldSignal& held) {
  return __atomic_load_n(&held.state, __ATOMIC_RELAXED) == kHeld;
}

// Whether what is sent to the process may be this thread's.
bool takes(const ThreadBlock& block, int signal) {
  return (block.masked & bit(signal)) == 0 || (block.awaits & bit(signal)) != 0;
}

// Until `use` says true of one; false where it never does. A block that nobody has any more names a
// thread that is not there.
template <typename Use>
bool any_other(const ThreadBlock& own, Use use) {
  for (const ThreadBlock* block = sysload_state.all_blocks; block != nullptr;
       block = block->all_next)
    if (block != &own && block->tid != 0 && use(*block)) return true;
  return false;
}

// One that begins counts before its block names it, and may be given a signal.
bool has_other_threads() {
  return __atomic_load_n(&sysload_state.threads, __ATOMIC_RELAXED) > 1;
}

bool send_to(uint32_t tid, int signal, const KernelSiginfo& info) {
  return !sys::failed(sys::call(__NR_rt_tgsigqueueinfo, sys::pid(), tid,
                                static_cast<uint64_t>(signal), Memory::address_of(&info).value));
}

// Leads a thread to what is held. However many pokes wait there, they are one.
bool poke(const ThreadBlock& block, int signal) {
  return send_to(block.tid, signal, {signal, 0, kPoke, 0, 0, {}});
}

bool exists(uint32_t tid) {
  return !sys::failed(sys::call(__NR_tgkill, sys::pid(), tid, 0));
}

// The kernel lets nobody forge for another thread what a kill says of its sender, so what was sent
// stays where it is, and a signal that nobody else sends leads the other one there. Where nobody
// takes it, it is for all who look: which of them has the right descriptor nobody knows.
void poke_another(const ThreadBlock& own, int signal, bool is_new) {
  __atomic_fetch_add(&sysload_state.poking, 1, __ATOMIC_SEQ_CST);
  const bool is_led = any_other(
      own, [&](const ThreadBlock& other) { return takes(other, signal) && poke(other, signal); });
  if (!is_led && is_new)
    any_other(own, [&](const ThreadBlock& other) {
      if (other.looks) poke(other, signal);
      return false;
    });
  __atomic_fetch_sub(&sysload_state.poking, 1, __ATOMIC_SEQ_CST);
}

// Whether the kernel would keep what this thread queues for the process, and lets it queue that.
// Another thread may run code of its own at any time, and the kernel would give it to that one.
bool may_queue(const ThreadBlock& own) {
  return own.tid == sys::pid() && !has_other_threads();
}

// Only a process's first thread may queue again for the process what a kill says of its sender.
void send_to_process(int signal, const KernelSiginfo& info) {
  const int64_t answer = sys::call(__NR_rt_sigqueueinfo, sys::pid(), static_cast<uint64_t>(signal),
                                   Memory::address_of(&info).value);
  if (sys::failed(answer)) send_to_self(signal, info);
}

// Takes the first of the signals that the kernel has for this thread; 0: there is none.
int take_pending(const uint64_t& signals, KernelSiginfo* info) {
  const uint64_t no_time[2] = {0, 0};
  const int64_t signal = sys::call(__NR_rt_sigtimedwait, Memory::address_of(&signals).value,
                                   Memory::address_of(info).value,
                                   Memory::address_of(&no_time[0]).value, SYSLOAD_SIGSET_SIZE);
  return sys::failed(signal) ? 0 : static_cast<int>(signal);
}

// Of two signals of a number that wait for a thread the kernel keeps the first, so a poke would
// take the place of what is sent next. The thread takes none any more, and whoever saw it when it
// did is about to be done; one that was killed meanwhile is not waited for.
void drop_poke(int signal) {
  constexpr int kMostTurns = 10'000;
  for (int turn = 0; turn < kMostTurns; ++turn) {
    if (__atomic_load_n(&sysload_state.poking, __ATOMIC_SEQ_CST) == 0) break;
    sys::call(__NR_sched_yield);
  }
  KernelSiginfo info{};
  if (take_pending(bit(signal), &info) == 0 || info.code == kPoke) return;
  if (info.code == kSentToThread || info.code > 0)
    send_to_self(signal, info);
  else
    send_to_process(signal, info);
}

// To where this thread gets it, while all signals are blocked: what it takes stays held, and a poke
// leads there; all else goes into the kernel's queues, for who looks into them. But what is
// everybody's stays where another thread is about to take it, or where the kernel would give it to
// one that cannot; a program that is executed gets it all the same.
void send_again(ThreadBlock* block, int signal) {
  HeldSignal& own = block->held[place_of(signal)];
  HeldSignal& everybodys = sysload_state.held[place_of(signal)];
  if (!is_held(own) && !is_held(everybodys)) return;
  if (takes(*block, signal)) {
    poke(*block, signal);
    return;
  }
  drop_poke(signal);
  KernelSiginfo info{};
  if (take(&own, &info)) send_to_self(signal, info);
  const auto is_there_and_takes = [&](const ThreadBlock& other) {
    return takes(other, signal) && exists(other.tid);
  };
  if (!is_held(everybodys) || any_other(*block, is_there_and_takes)) return;
  const bool stays = may_queue(*block);
  if (stays || is_exec(block->call.number)) {
    if (!take(&everybodys, &info)) return;
    if (stays)
      send_to_process(signal, info);
    else
      send_to_self(signal, info);
    return;
  }
  if (block->looks) poke(*block, signal);
}

// Whoever holds a signal looks for those who take it behind that, and so finds this thread as it is
// now, or what it holds is found here.
void send_all_again(ThreadBlock* block, uint64_t signals) {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  for_each_open([&](int signal) {
    if ((signals & bit(signal)) != 0) send_again(block, signal);
  });
}

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
bool may_be_with_another(const ThreadBlock& block) {
  const uint64_t opened = block.masked & ~mask_of(block.call, block.masked);
  bool is_there = false;
  for_each_open([&](int signal) {
    const bool may_be_held = is_held(sysload_state.held[place_of(signal)]) || has_other_threads();
    is_there = is_there || ((opened & bit(signal)) != 0 && may_be_held);
  });
  return is_there;
}

// Which open signals a call has shown to be pending for the process, or has made so.
uint64_t shown_by(const ThreadBlock& block) {
  const sysload_call& call = block.call;
  uint64_t set = 0;
  if (block.result != 0) return 0;
  if (call.number == __NR_rt_sigpending) {
    read_program(call.argument[0], Memory::bytes(Memory::address_of(&set), sizeof(set)));
  } else if (call.number == __NR_kill || call.number == __NR_rt_sigqueueinfo) {
    const auto whom = static_cast<int32_t>(call.argument[0]);
    const bool is_own = whom == static_cast<int32_t>(sys::pid()) || whom == 0;
    const auto signal = static_cast<uint32_t>(call.argument[1]);
    if (is_own && signal - 1 < kMostSignals) set = bit(static_cast<int>(signal));
  }
  return set & block.masked & sysload_state.open_signals;
}

// The kernel may be giving it to a thread that runs its own code, which is not done with it yet:
// until then it is nowhere, for as long as that thread does not run. So it is held for everybody
// before the program is told. Where it has been sent it is awaited; in vain, and not for ever, if
// that thread has died. What was seen may have been a poke: false, where there is nothing else.
bool keep_pending(ThreadBlock* block, int signal, bool was_sent) {
  constexpr int kBusyTurns = 50, kMostTurns = 10'000;
  const uint64_t pause[] = {0, SYSLOAD_LOCK_PAUSE};  // struct timespec
  const HeldSignal& own = block->held[place_of(signal)];
  const HeldSignal& everybodys = sysload_state.held[place_of(signal)];
  const auto may_take = [&](const ThreadBlock& other) {
    return takes(other, signal) && exists(other.tid);
  };
  bool was_poke = false;
  for (int turn = 0; turn < kMostTurns; ++turn) {
    if (is_held(own) || is_held(everybodys) || any_other(*block, may_take)) return true;
    if (was_poke && !was_sent) return false;
    KernelSiginfo info{};
    const bool is_there = take_pending(bit(signal), &info) != 0;
    was_poke = was_poke || (is_there && info.code == kPoke);
    if (is_there && info.code != kPoke) {
      hold_signal(block, signal, info);
      return true;
    }
    if (turn < kBusyTurns)
      sys::call(__NR_sched_yield);
    else
      sys::call(__NR_nanosleep, Memory::address_of(&pause[0]).value);
  }
  return false;
}

// What sigpending has answered, without these.
void hide_pending(const sysload_call& call, uint64_t signals) {
  uint64_t set = 0;
  const auto bytes = Memory::bytes(Memory::address_of(&set), sizeof(set));
  if (read_program(call.argument[0], bytes) != sizeof(set)) return;
  set &= ~signals;
  write_program(call.argument[0], as_byte_view(&set, sizeof(set)));
}

}  // namespace

void keep_what_is_shown(ThreadBlock* block) {
  const uint64_t shown = shown_by(*block);
  if (shown == 0 || !has_other_threads()) return;
  const bool was_sent = block->call.number != __NR_rt_sigpending;
  uint64_t gone = 0;
  for_each_open([&](int signal) {
    if ((shown & bit(signal)) != 0 && !keep_pending(block, signal, was_sent)) gone |= bit(signal);
  });
  if (!was_sent && gone != 0) hide_pending(block->call, gone);
}

void open_program_mask(ThreadBlock* block, uint64_t held) {
  const uint64_t open = sysload_state.open_signals & ~held;
  if (open == 0) return;
  // What was pending when the program was executed would strike here.
  KernelSiginfo info{};
  while (const int signal = take_pending(open, &info)) put(&block->held[place_of(signal)], info);
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
  return !block.lends && (block.masked & bit(signal)) != 0;
}

void hold_signal(ThreadBlock* block, int signal, const KernelSiginfo& info) {
  // The code of a fault nobody but the thread can have queued, or the process's first one.
  if (info.code == kSentToThread || info.code > 0) return put(&block->held[place_of(signal)], info);
  const bool is_new = info.code != kPoke;
  if (is_new) put(&sysload_state.held[place_of(signal)], info);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  poke_another(*block, signal, is_new);
}

bool take_held_signal(ThreadBlock* block, int signal, KernelSiginfo* info) {
  if (info->code != kPoke) return true;
  HeldSignal& everybodys = sysload_state.held[place_of(signal)];
  if (!take(&block->held[place_of(signal)], info)) {
    block->was_poked_in_vain = !take(&everybodys, info);
    return !block->was_poked_in_vain;
  }
  // The two had one poke.
  if (is_held(everybodys)) poke(*block, signal);
  return true;
}

void lead_behind_trap(const ThreadBlock& block, int signal) {
  if ((sysload_state.open_signals & bit(signal)) == 0 || !takes(block, signal)) return;
  if (is_held(block.held[place_of(signal)]) || is_held(sysload_state.held[place_of(signal)]))
    poke(block, signal);
}

bool take_everybodys_signal(int signal, KernelSiginfo* info) {
  return take(&sysload_state.held[place_of(signal)], info);
}

bool was_woken_in_vain(const ThreadBlock& block) {
  if (static_cast<int64_t>(block.result) != -EINTR) return false;
  if (block.awaits != 0) return true;
  return block.looks && (block.was_poked_in_vain || may_be_with_another(block));
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
  const bool is_open = (sysload_state.open_signals & bit(signal)) != 0;
  int64_t error = 0;
  if (is_open && !take_held_signal(block, signal, &info))
    error = -EINTR;
  else if (block->asked_info != 0)
    error = write_program(block->asked_info, as_byte_view(&info, sizeof(info)));
  if (error != 0) block->result = static_cast<uint64_t>(error);
}

void forget_held_signals(ThreadBlock* block) {
  for (HeldSignal& held : block->held) held.state = kFree;
  for (HeldSignal& held : sysload_state.held) held.state = kFree;
  sysload_state.poking = 0;
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
