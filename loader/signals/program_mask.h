// The signal mask of a program, where the kernel must not have all of it.
//
// A trap or a caught call is a signal that the kernel forces upon the thread, and a thread that has
// blocked it is killed. So while code of the program's runs, the kernel's mask never holds those
// signals, and the block keeps what the program has said of them:
//
//                               the kernel's mask       ThreadBlock::masked
//   code of the program's       the program's, less     of the open signals, those that
//                               the open signals        the program has blocked
//   a call of its own           the program's           (in the kernel's: the mask is lent)
//   its handler's context       is shown the program's; rt_sigreturn takes it apart again
//
// For a call the mask is lent whole, and taken back with whatever the call has made of it. So the
// kernel itself answers rt_sigprocmask, rt_sigpending, ppoll, sigwait, signalfd, /proc/self/status
// and execve, and waits are not disturbed by what the program has blocked.
//
// An open signal that somebody sends while the program has blocked it is held (held_signals.h).
//
// Only where there is something to serve by such signals: State::open_signals is 0 otherwise, and
// none of this does anything.
#ifndef SYSREWRITE_LOADER_SIGNALS_PROGRAM_MASK_H_
#define SYSREWRITE_LOADER_SIGNALS_PROGRAM_MASK_H_

#include <cstdint>

#include "loader/signals/signal_frame.h"
#include "loader/thread_block.h"

namespace sysrewrite {

// Takes the open signals out of the kernel's mask, which a program inherits, but for those that are
// held for a while and no matter of its own (first_stop.h). Once, before it starts, by its only
// thread.
void open_program_mask(ThreadBlock* block, uint64_t held);

// Whether the call is made with the program's mask in the kernel.
bool needs_mask(const ThreadBlock& block, uint64_t number);
// Makes leaving the runtime give the kernel all of the mask. Blocks all signals until then. A call
// that waits for an open signal names a siginfo of sysload's own from here on.
void lend_mask(ThreadBlock* block);
// Behind the call.
void take_mask_back(ThreadBlock* block);
// The same where all signals are blocked and ThreadBlock::mask is what the kernel had.
void split_mask(ThreadBlock* block);

// Before rt_sigreturn: takes apart the mask in the frame, and leaves with all signals blocked, so
// that nothing strikes before the kernel has given the frame's mask back.
void take_apart_frame_mask(ThreadBlock* block, uint64_t frame);

// Whether the signal must wait since the program has blocked it: the kernel does not know that.
bool is_masked(const ThreadBlock& block, int signal);
// Whether a call was woken for a signal that another thread took: rt_sigtimedwait, which nothing
// has interrupted, since the kernel did not find it blocked there, and that one holds it; one whose
// own mask opens it, likewise; another one by a poke.
bool was_woken_in_vain(const ThreadBlock& block);
// Where a call was not made, or is to be made again: it names the program's siginfo once more.
// False: it always has.
bool take_info_back(ThreadBlock* block);
// The same behind a call, which may have been poked: puts what was held at the program's siginfo.
// Where there is nothing any more the result is that of one that was woken in vain.
void take_what_was_awaited(ThreadBlock* block);
// The mask in a frame that the program is about to go on with: `was_lent` where it has struck a
// call that had the mask. Where a handler is to run it is shown the program's, and its own mask is
// opened; all signals stay blocked until the runtime is left.
void mend_mask(ThreadBlock* block, KernelUcontext* context, bool was_lent, bool runs_handler);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_PROGRAM_MASK_H_
