#include "loader/signals/handlers.h"

#include "loader/label.h"
#include "loader/memory.h"
#include "loader/signals/handler_table.h"
#include "loader/signals/interlude.h"
#include "loader/signals/position.h"
#include "loader/signals/settle.h"
#include "loader/signals/trap.h"
#include "loader/signals/watched_signals.h"

// Handlers without a lock, a block for each thread, or a system call of sysload's own.
//
// Which handler a signal has stands in the kernel alone: rt_sigaction is passed on with the address
// of a thunk in place of the handler's, and the table says, once and for all, which handler a thunk
// stands for. So a vfork child, a child with other handlers, two threads that set one at the same
// time are as natively.
//
//   thunk --> on_handler(): where has the signal struck?
//
//     the program               nothing is to be done
//     a stub                    rip is the displaced instruction, the syscall, or the one behind it
//     the callback, serve.S     the call is still to be made, or made: rip is the syscall or the
//                               one behind it, and the registers are those of the call
//     this wrapper itself       the handler that it was about to run is the one that was struck, at
//                               its first instruction
//
// A call that is still to be made is made again when the handler returns: rt_sigreturn finds the
// syscall's address in the frame and goes to the stub (on_sigreturn()). Whoever goes there by other
// ways, as setcontext does, meets the poison and the trap.
//
// How a frame is mended stands in settle.cc.

namespace sysrewrite {

namespace {

extern "C" [[gnu::visibility("hidden")]] const std::byte sysload_action[], sysload_sigreturn[];

}  // namespace

// The handler to run; 0: the signal is done with.
extern "C" [[gnu::used, gnu::visibility("hidden")]] uint64_t sysload_on_handler(
    Interlude* wrapper) {
  apply(wrapper->log);
  decide_on_own(*wrapper);
  if (wrapper->what == kBack) return 0;
  const Signal signal = signal_at(wrapper->rdi, wrapper->rsi, wrapper->rdx);
  settle(wrapper->log, signal);
  const KernelSigaction said = said_by(wrapper->what);
  if (said.handler != kSigDefault && said.handler != kSigIgnore) {
    reset_if_asked(wrapper->rdi, said);
    return said.handler;
  }
  act_by_default(signal, said.handler);
  return 0;
}

extern "C" [[gnu::used, gnu::visibility("hidden")]] void sysload_on_sigreturn(
    KernelUcontext* context) {
  context->rip = enter_any_stub({context->rip}).value;
}

void leave_runtime(const Signal& signal) {
  Log log{};
  settle(log, signal);
}

}  // namespace sysrewrite
