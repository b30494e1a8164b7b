#include "loader/signals/put_off.h"

#include <algorithm>

#include "loader/serve/program_memory.h"
#include "loader/signals/held_signals.h"
#include "loader/signals/signals.h"

// What was sent has a place in the kernel's queue, which counts against the user's
// RLIMIT_SIGPENDING. What a timer raises has one that does not count; it is given back as soon as
// the signal is delivered. So there may be none for it when it is sent again:
//
//   a real-time signal         is refused
//   a standard signal          comes, but without its siginfo, unless si_code is that of a kill
//   any, with a kill's code    comes, without a siginfo: SI_USER of process 0, user 0. Of those of
//                              one number that wait so, or behind one that has a place, one comes
//
// Therefore the block keeps the siginfo of a signal that was refused, or may come without, and one
// of the last kind is sent for it. A real-time signal that is kept is owed: it takes the place of
// the next one of its number, which then is put off in turn. Of a standard one the kernel has kept
// that it is pending, and nothing is owed but the siginfo.
//
// Source: linux, kernel/signal.c, __send_signal_locked(), collect_signal().

namespace sysrewrite {

namespace {

constexpr int32_t kByKill = 0;  // SI_USER
// A code of sysload's own.
constexpr int32_t kStandIn = -0x7374;
constexpr int kFirstRealTime = 32;

bool is_real_time(int signal) {
  return signal >= kFirstRealTime;
}

// Without a siginfo; `address` is where the sender stands.
bool stands_for_another(const KernelSiginfo& info) {
  return info.code == kStandIn ||
         (info.code == kByKill && info.errno_value == 0 && info.address == 0);
}

void send_bare(int signal, int32_t code) {
  send_to_self(signal, {signal, 0, code, 0, 0, {}});
}

// The oldest one of the number, or the end.
KernelSiginfo* find(ThreadBlock* block, int signal) {
  return std::find_if(block->put_off.begin(), block->put_off.end(),
                      [&](const KernelSiginfo& kept) { return kept.signo == signal; });
}

// Where there is no room it comes without a siginfo.
void keep(ThreadBlock* block, const KernelSiginfo& info) {
  KernelSiginfo* const free = find(block, 0);
  if (free != block->put_off.end()) *free = info;
}

void drop(ThreadBlock* block, KernelSiginfo* kept) {
  std::move(kept + 1, block->put_off.end(), kept);
  block->put_off.back().signo = 0;
}

void drop_all(ThreadBlock* block, int signal) {
  for (KernelSiginfo* kept = find(block, signal); kept != block->put_off.end();
       kept = find(block, signal))
    drop(block, kept);
}

}  // namespace

void put_off_signal(ThreadBlock* block, int signal, const KernelSiginfo& info) {
  const NoPokes none(block, signal);
  if (!is_real_time(signal) && info.code < 0 && info.code != kStandIn) {
    drop_all(block, signal);
    keep(block, info);
  }
  if (!sys::failed(send_to_self(signal, info))) return;
  keep(block, info);
  send_bare(signal, kByKill);
}

void put_back_signal(ThreadBlock* block, int signal, const KernelSiginfo& info) {
  uint64_t mask = 0;
  block_signals(&mask);
  drop_all(block, signal);
  keep(block, info);
  const NoPokes none(block, signal);
  send_bare(signal, kStandIn);
  set_signals(mask);
}

void recall_signal(ThreadBlock* block, int signal, KernelSiginfo* info) {
  if (block->put_off.front().signo == 0) return;
  uint64_t mask = 0;
  block_signals(&mask);
  KernelSiginfo* const kept = find(block, signal);
  if (kept != block->put_off.end()) {
    const KernelSiginfo arrived = *info;
    const bool is_other = !stands_for_another(arrived);
    if (!is_other || is_real_time(signal)) *info = *kept;
    drop(block, kept);
    if (is_other && is_real_time(signal)) put_off_signal(block, signal, arrived);
    if (find(block, signal) != block->put_off.end()) send_bare(signal, kByKill);
  }
  set_signals(mask);
}

void recall_awaited(ThreadBlock* block, int64_t result) {
  if (result <= 0 || block->put_off.front().signo == 0) return;
  KernelSiginfo info{};
  const auto bytes = Memory::bytes(Memory::address_of(&info), sizeof(info));
  const uint64_t at = block->call.argument[1];
  if (at != 0) read_program(at, bytes);
  recall_signal(block, static_cast<int>(result), &info);
  if (at != 0) write_program(at, as_byte_view(&info, sizeof(info)));
}

void forget_put_off(ThreadBlock* block, int signal) {
  if (block->put_off.front().signo == 0) return;
  keep_signals_away(block);
  drop_all(block, signal);
}

void forget_all_put_off(ThreadBlock* block) {
  for (KernelSiginfo& kept : block->put_off) kept.signo = 0;
}

}  // namespace sysrewrite
