// Open signals (program_mask.h) that somebody has sent while the program had them blocked.
//
//   ThreadBlock::held   SIGTRAP, SIGSYS   sent to that thread
//   State::held         SIGTRAP, SIGSYS   sent to the process: for all threads
//
// The kernel does not know that they are blocked, and would give them, again, to a thread that runs
// code of its own. What was sent to a thread is put back into the kernel's queue for the time of
// each of its calls. What was sent to the process stays here, and those are poked that have not
// blocked it, or wait for it, or are in a call that looks for it (pending_view.h): they get a
// signal of the same number that nobody else sends, and find what is held. Where there is no other
// thread it is put back into the kernel's queue, too. Of each number one is kept, the first, as by
// the kernel.
//
// Any thread may call these, for its own block, with all signals blocked.
#ifndef SYSREWRITE_LOADER_SIGNALS_HELD_SIGNALS_H_
#define SYSREWRITE_LOADER_SIGNALS_HELD_SIGNALS_H_

#include <cstdint>

#include "loader/signals/signal_frame.h"
#include "loader/state.h"
#include "loader/thread_block.h"

namespace sysrewrite {

// What a poke says in the place of a siginfo.
inline constexpr int32_t kPoke = -0x706f;

// Source: linux, include/uapi/asm-generic/siginfo.h: sent to one thread, by tkill or tgkill.
inline constexpr int32_t kSentToThread = -6;

// Of any number that a program may name.
inline bool is_open_signal(int signal) {
  return (signal == kSigTrap || signal == kSigSys) &&
         (sysload_state.open_signals & bit_of(signal)) != 0;
}

// Calls `use` with each open signal.
template <typename Use>
void for_each_open_signal(Use use) {
  for (const int signal : {kSigTrap, kSigSys})
    if (is_open_signal(signal)) use(signal);
}

// One that begins counts before its block names it, and may be given a signal.
bool has_other_threads();
// Whether the process has such a thread.
bool exists(uint32_t tid);

// While one lives no poke of an open signal's number waits for this thread, and no other thread
// sends it one: what it sends to itself would be dropped behind a poke, as the second of two that
// wait. Others hold what they have all the same, and go on; what the thread sends leads it there,
// or the end of this.
class NoPokes {
 public:
  NoPokes(ThreadBlock* block, int signal);
  ~NoPokes();
  NoPokes(const NoPokes&) = delete;
  NoPokes& operator=(const NoPokes&) = delete;

 private:
  ThreadBlock* block_;  // nullptr: it is not an open one
  int signal_;
};

// Keeps it; what was sent to the process may go to another thread.
void hold_signal(ThreadBlock* block, int signal, const KernelSiginfo& info);
// Keeps what was sent to another thread, and pokes that one, which must not go away meanwhile.
void hold_for(ThreadBlock* other, int signal, const KernelSiginfo& info);
// Holds for this thread what the kernel has for it of the open `signals`.
void hold_pending(ThreadBlock* block, uint64_t signals);
// Where the thread was poked, puts what is held into `info`. False: there is nothing any more.
bool take_held_signal(ThreadBlock* block, int signal, KernelSiginfo* info);
// The same of what was sent to the process.
bool take_everybodys_signal(int signal, KernelSiginfo* info);
// To where the thread gets it as it is now, what is held of the open `signals`.
void send_all_again(ThreadBlock* block, uint64_t signals);
// Behind a signal that was no poke: while that was pending the kernel has dropped a poke of the
// same number, as of any two, and what the poke leads to is still held.
void lead_to_held(const ThreadBlock& block, int signal);
// Whether it is held for everybody, or another thread may have just been given it.
bool may_be_with_another(int signal);
// Where the signal was shown to be pending, or `was_sent` to the process. The kernel may be giving
// it to a thread that runs its own code, which is not done with it yet: until then it is nowhere,
// for as long as that thread does not run. So it is held for everybody before the program is told.
// Where it has been sent it is awaited; in vain, and not for ever, if that thread has died. What
// was seen may have been a poke: false, where there is nothing else.
bool keep_pending(ThreadBlock* block, int signal, bool was_sent);
// In a forked child, where nothing is pending.
void forget_held_signals(ThreadBlock* block);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_HELD_SIGNALS_H_
