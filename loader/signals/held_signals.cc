#include "loader/signals/held_signals.h"

#include <asm/unistd.h>

#include "loader/memory.h"
#include "loader/serve/follow.h"
#include "loader/signals/signals.h"
#include "loader/state.h"

namespace sysrewrite {

// One that begins counts before its block names it, and may be given a signal.
bool has_other_threads() {
  return __atomic_load_n(&sysload_state.threads, __ATOMIC_RELAXED) > 1;
}

bool exists(uint32_t tid) {
  return !sys::failed(sys::call(__NR_tgkill, sys::pid(), tid, 0));
}

namespace {

uint32_t place_of(int signal) {
  return signal == kSigTrap ? 0 : 1;
}

enum HeldState : uint32_t { kFree = 0, kBusy = 1, kHeld = 2 };

bool claim(HeldSignal* held, uint32_t from) {
  return __atomic_compare_exchange_n(&held->state, &from, kBusy, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED);
}

void release(HeldSignal* held, uint32_t state) {
  __atomic_store_n(&held->state, state, __ATOMIC_RELEASE);
}

bool is_held(const HeldSignal& held) {
  return __atomic_load_n(&held.state, __ATOMIC_ACQUIRE) == kHeld;
}

// Waits for a thread that is about to be done, and may not be running. Not for ever: it may have
// been killed.
template <typename Done>
void wait_until(Done is_done) {
  constexpr int kBusyTurns = 50, kMostTurns = 10'000;
  const uint64_t pause[] = {0, SYSLOAD_LOCK_PAUSE};  // struct timespec
  for (int turn = 0; turn < kMostTurns && !is_done(); ++turn)
    if (turn < kBusyTurns)
      sys::call(__NR_sched_yield);
    else
      sys::call(__NR_nanosleep, Memory::address_of(&pause[0]).value);
}

// Of two that wait the kernel keeps the first. One that another thread is about to take is none.
void put(HeldSignal* held, const KernelSiginfo& info) {
  wait_until([&] {
    if (is_held(*held)) return true;
    if (!claim(held, kFree)) return false;
    held->info = info;
    release(held, kHeld);
    return true;
  });
}

bool take(HeldSignal* held, KernelSiginfo* info) {
  if (!claim(held, kHeld)) return false;
  *info = held->info;
  release(held, kFree);
  return true;
}

// Whether what is sent to the process may be this thread's.
bool takes(const ThreadBlock& block, int signal) {
  return (block.masked & bit_of(signal)) == 0 || (block.awaits & bit_of(signal)) != 0;
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

bool send_to(uint32_t tid, int signal, const KernelSiginfo& info) {
  return !sys::failed(sys::call(__NR_rt_tgsigqueueinfo, sys::pid(), tid,
                                static_cast<uint64_t>(signal), Memory::address_of(&info).value));
}

// Leads a thread to what is held. However many pokes wait there, they are one.
bool poke(const ThreadBlock& block, int signal) {
  return send_to(block.tid, signal, {signal, 0, kPoke, 0, 0, {}});
}

// Around what pokes other threads, and looks at them before: they wait until it is over.
class Poking {
 public:
  Poking() { __atomic_fetch_add(&sysload_state.poking, 1, __ATOMIC_SEQ_CST); }
  ~Poking() { __atomic_fetch_sub(&sysload_state.poking, 1, __ATOMIC_SEQ_CST); }
  Poking(const Poking&) = delete;
  Poking& operator=(const Poking&) = delete;

  bool poke(const ThreadBlock& other, int signal) const {
    return !__atomic_load_n(&other.has_no_pokes, __ATOMIC_SEQ_CST) &&
           sysrewrite::poke(other, signal);
  }
};

// Behind it, whoever has seen the thread as it was before is done.
void wait_for_poking() {
  wait_until([] { return __atomic_load_n(&sysload_state.poking, __ATOMIC_SEQ_CST) == 0; });
}

// The kernel lets nobody forge for another thread what a kill says of its sender, so what was sent
// stays where it is, and a signal that nobody else sends leads the other one there. Where nobody
// takes it, it is for all who look: which of them has the right descriptor nobody knows.
void poke_another(const ThreadBlock& own, int signal, bool is_new) {
  const Poking poking;
  const bool is_led = any_other(own, [&](const ThreadBlock& other) {
    return takes(other, signal) && poking.poke(other, signal);
  });
  if (!is_led && is_new)
    any_other(own, [&](const ThreadBlock& other) {
      if (other.looks) poking.poke(other, signal);
      return false;
    });
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
  KernelSiginfo info{};
  {
    const NoPokes none(block, signal);
    if (take(&own, &info)) send_to_self(signal, info);
  }
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

}  // namespace

NoPokes::NoPokes(ThreadBlock* block, int signal)
    : block_(is_open_signal(signal) ? block : nullptr), signal_(signal) {
  if (block_ == nullptr) return;
  __atomic_store_n(&block->has_no_pokes, true, __ATOMIC_SEQ_CST);
  wait_for_poking();
  // A filter of the program's need not allow a look where nothing can have led here.
  const uint32_t place = place_of(signal);
  const bool is_any_held = is_held(block->held[place]) || is_held(sysload_state.held[place]);
  if (sysload_state.has_filter && !is_any_held) return;
  KernelSiginfo info{};
  if (take_pending(bit_of(signal), &info) != 0 && info.code != kPoke)
    hold_signal(block, signal, info);
}

NoPokes::~NoPokes() {
  if (block_ == nullptr) return;
  __atomic_store_n(&block_->has_no_pokes, false, __ATOMIC_SEQ_CST);
  if (is_held(block_->held[place_of(signal_)])) poke(*block_, signal_);
}

// Whoever holds a signal looks for those who take it behind that, and so finds this thread as it is
// now, or what it holds is found here.
void send_all_again(ThreadBlock* block, uint64_t signals) {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  for_each_open_signal([&](int signal) {
    if ((signals & bit_of(signal)) != 0) send_again(block, signal);
  });
}

void hold_signal(ThreadBlock* block, int signal, const KernelSiginfo& info) {
  // The code of a fault nobody but the thread can have queued, or the process's first one.
  if (info.code == kSentToThread || info.code > 0) return put(&block->held[place_of(signal)], info);
  const bool is_new = info.code != kPoke;
  if (is_new) put(&sysload_state.held[place_of(signal)], info);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  poke_another(*block, signal, is_new);
}

void hold_for(ThreadBlock* other, int signal, const KernelSiginfo& info) {
  put(&other->held[place_of(signal)], info);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  Poking().poke(*other, signal);
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

void lead_to_held(const ThreadBlock& block, int signal) {
  if (!is_open_signal(signal) || !takes(block, signal)) return;
  if (is_held(block.held[place_of(signal)]) || is_held(sysload_state.held[place_of(signal)]))
    poke(block, signal);
}

void hold_pending(ThreadBlock* block, uint64_t signals) {
  KernelSiginfo info{};
  while (const int signal = take_pending(signals, &info)) put(&block->held[place_of(signal)], info);
}

bool may_be_with_another(int signal) {
  return is_held(sysload_state.held[place_of(signal)]) || has_other_threads();
}

bool take_everybodys_signal(int signal, KernelSiginfo* info) {
  return take(&sysload_state.held[place_of(signal)], info);
}

bool keep_pending(ThreadBlock* block, int signal, bool was_sent) {
  const HeldSignal& own = block->held[place_of(signal)];
  const HeldSignal& everybodys = sysload_state.held[place_of(signal)];
  const auto may_take = [&](const ThreadBlock& other) {
    return takes(other, signal) && exists(other.tid);
  };
  bool is_kept = false, was_poke = false;
  wait_until([&] {
    is_kept = is_held(own) || is_held(everybodys) || any_other(*block, may_take);
    if (is_kept || (was_poke && !was_sent)) return true;
    KernelSiginfo info{};
    const bool is_there = take_pending(bit_of(signal), &info) != 0;
    was_poke = was_poke || (is_there && info.code == kPoke);
    if (!is_there || info.code == kPoke) return false;
    hold_signal(block, signal, info);
    is_kept = true;
    return true;
  });
  return is_kept;
}

void forget_held_signals(ThreadBlock* block) {
  for (HeldSignal& held : block->held) held.state = kFree;
  for (HeldSignal& held : sysload_state.held) held.state = kFree;
  sysload_state.poking = 0;
}

}  // namespace sysrewrite
