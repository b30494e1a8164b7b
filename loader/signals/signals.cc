#include "loader/signals/signals.h"

#include <asm/unistd.h>

#include <cstring>

#include "loader/engine/exhaustive.h"
#include "loader/engine/foreign_threads.h"
#include "loader/engine/hook_set.h"
#include "loader/label.h"
#include "loader/report.h"
#include "loader/signals/alternate_stack.h"
#include "loader/signals/dispositions.h"
#include "loader/signals/handlers.h"
#include "loader/signals/held_signals.h"
#include "loader/signals/plain_flags.h"
#include "loader/signals/position.h"
#include "loader/signals/program_mask.h"
#include "loader/signals/put_off.h"
#include "loader/signals/struck.h"
#include "loader/signals/trap.h"
#include "loader/state.h"

// Every handler that a program sets is set as sysload_signal_entry; which one was meant stands in
// the table. The entry looks where the signal has struck:
//
//   in the program     the program's handler runs, on the frame that the kernel has built
//   in the runtime     in a hook, whose rsp is the hook stack's, or in this very code, which runs
//                      on whatever stack the kernel has chosen where the hook stack is in use. The
//                      signal is put off: it is sent to this thread again, with all signals blocked
//                      from here on. The way out sees that, and lets it through when rsp is the
//                      program's.
//   at the call        the frame is mended so that the program goes on from there (struck.h)
//
// So when a handler of the program's starts no call is under way in its thread. It may make calls
// of its own, leave by longjmp, or never return.
//
// Legal here: C++ that is content with some hundred bytes of stack.

namespace sysrewrite {

namespace {

// The program's memory is copied between the two (program_copy.S).
extern "C" [[gnu::visibility("hidden")]] const std::byte sysload_copy_begin[], sysload_copy_end[];

// What a thread sends itself to go on stepping, where it leaves the runtime.
constexpr int32_t kStepOn = -0x706e;

bool is_fault(int signal, const KernelSiginfo& info) {
  return is_taken_over(signal) && signal != kSigSys && info.code > 0;
}

template <typename... Parts>
[[noreturn, gnu::noinline, gnu::cold]] void end_by(const ThreadBlock& block, Parts... what) {
  const RunningHook running{block.running};
  if (!running.is_of_call())
    fail("hook", what..., ", in ", running.function(), "; the program is ended");
  fail("hook", what..., ", in call ", block.call.number, "; the program is ended");
}

[[noreturn]] void die_in_hook(const ThreadBlock& block, int signal, const KernelUcontext& context) {
  const HookSet& hooks = *sysload_state.hooks;
  const char* const kind = signal == kSigSegv || signal == kSigBus
                               ? "touches memory that is not there"
                           : signal == kSigIll ? "executes what is no instruction"
                           : signal == kSigFpe ? "divides by zero"
                           : signal == kSigSys ? "makes a system call that is not the api's"
                                               : "traps";
  const uint32_t index = RunningHook{block.running}.index();
  if (index >= hooks.count)
    fail("hooks", "sysload itself ", kind, ", at ", Hex{context.rip}, ": please report this");
  const LoadedHook& loaded = hooks.loaded[index];
  const uint64_t stack_left = context.rsp - (block.stack - kBlockStack);
  if (static_cast<int64_t>(stack_left) < 512)
    end_by(block, loaded.name, ": its stack of ", uint64_t{SYSLOAD_HOOK_STACK},
           " bytes is used up");
  end_by(block, loaded.name, ": ", kind, ", at ", Hex{context.rip - loaded.base.value}, " of it");
}

// Keeps everything away from what was struck, which is in the runtime, until that is left.
void keep_away_behind(ThreadBlock& block, KernelUcontext& context) {
  uint64_t mask = 0;
  block_signals(&mask);
  // Another signal may have come up to here, and was put off, too: its frame has this one's mask.
  if (!block.opens_faults) block.mask = context.mask;
  context.mask = ~uint64_t{0};
  leave_slowly(&context);
}

// Sends the signal once more, and keeps everything away until the runtime is left.
void put_off(ThreadBlock& block, int signal, const KernelSiginfo& info, KernelUcontext& context) {
  keep_away_behind(block, context);
  block.pending |= SYSLOAD_PENDING_SIGNAL;
  set_again(block, signal);
  put_off_signal(&block, signal, info);
}

// Each context names the thread's last fault, which may be one that the program knows nothing of.
void mend_trap(ThreadBlock& block, int signal, const KernelSiginfo& info, KernelUcontext& context) {
  if (is_fault(signal, info)) {
    block.trap = context.trap;
    block.trap_error = context.error;
  } else {
    context.trap = block.trap;
    context.error = block.trap_error;
  }
}

// Where a filter has caught a call that sysload makes for the program, the signal was put off, and
// strikes elsewhere.
bool names_own_call(const Signal& signal) {
  return signal.number == kSigSys && signal.info.code > 0 && is_in_sysload(signal.info.address);
}

// What a handler is to see: the program where it stands, and nothing of sysload's.
void show_program(ThreadBlock& block, const Signal& signal) {
  const bool names_rip =
      names_place(signal.number, signal.info, signal.context.rip) || names_own_call(signal);
  mend(block, signal.context);
  leave_runtime(signal);
  // Behind the handler, from where it has struck.
  if (block.steps) signal.context.flags_register |= SYSLOAD_TRAP_FLAG;
  block.steps = false;
  if (names_rip) signal.info.address = signal.context.rip;
}

}  // namespace

void block_signals(uint64_t* old_mask) {
  const uint64_t all = ~uint64_t{0};
  sys::call(__NR_rt_sigprocmask, SYSLOAD_SIG_SETMASK, Memory::address_of(&all).value,
            Memory::address_of(old_mask).value, SYSLOAD_SIGSET_SIZE);
}

void keep_signals_away(ThreadBlock* block) {
  if (block->pending != 0) return;
  uint64_t mask = 0;
  block_signals(&mask);
  // One may have come just before.
  if (block->pending == 0) block->mask = mask;
  block->pending |= SYSLOAD_PENDING_BLOCKED;
}

void go_on_stepping(ThreadBlock* block) {
  if (!block->steps) return;
  block->steps = false;
  const NoPokes none(block, kSigTrap);
  send_to_self(kSigTrap, {kSigTrap, 0, kStepOn, 0, 0, {}});
}

void set_signals(const uint64_t& mask) {
  sys::call(__NR_rt_sigprocmask, SYSLOAD_SIG_SETMASK, Memory::address_of(&mask).value, 0,
            SYSLOAD_SIGSET_SIZE);
}

OpenFaults::OpenFaults(ThreadBlock* block, bool opens) : block_(block) {
  constexpr uint64_t kFaults = uint64_t{1} << (kSigSegv - 1) | uint64_t{1} << (kSigBus - 1) |
                               uint64_t{1} << (kSigIll - 1) | uint64_t{1} << (kSigFpe - 1) |
                               uint64_t{1} << (kSigTrap - 1);
  if (!opens) return;
  sys::call(__NR_rt_sigprocmask, 0, 0, Memory::address_of(&before_).value, SYSLOAD_SIGSET_SIZE);
  if ((before_ & kFaults) == 0) return;
  uint64_t waiting = 0;
  sys::call(__NR_rt_sigpending, Memory::address_of(&waiting).value, SYSLOAD_SIGSET_SIZE);
  if (block->pending == 0) block->mask = before_;
  block->opens_faults = true;
  set_signals(before_ & (~kFaults | waiting));
}

OpenFaults::~OpenFaults() {
  if (!block_->opens_faults) return;
  const bool has_struck = (block_->pending & SYSLOAD_PENDING_SIGNAL) != 0;
  set_signals(has_struck ? ~uint64_t{0} : before_);
  block_->opens_faults = false;
}

namespace {

// A handler that wants an alternate stack, of a program that has none: it gets the one below it.
// The fault stack is taken away, for which rsp must not be on it, and the signal is sent anew.
void send_elsewhere(ThreadBlock& block, int signal, const KernelSiginfo& info,
                    KernelUcontext& context) {
  uint64_t mask = 0;
  block_signals(&mask);
  sysload_call_on_hook_stack(&withdraw_fault_stack, &block);
  context.stack[0] = 0;
  context.stack[1] = kStackDisabled;
  context.stack[2] = 0;
  set_again(block, signal);
  put_off_signal(&block, signal, info);
}

}  // namespace

bool may_fault() {
  if (!sysload_state.watches_faults) return false;
  const ThreadBlock* const block = own_block();
  constexpr uint64_t kFaults = uint64_t{1} << (kSigSegv - 1) | uint64_t{1} << (kSigBus - 1);
  if (block == nullptr || block->signals == nullptr ||
      block->signals->action[kSigSegv].handler == kSigIgnore ||
      block->signals->action[kSigBus].handler == kSigIgnore)
    return false;
  uint64_t mask = ~uint64_t{0};
  sys::call(__NR_rt_sigprocmask, 0, 0, Memory::address_of(&mask).value, SYSLOAD_SIGSET_SIZE);
  return (mask & kFaults) == 0;
}

namespace {

// Of several frames that the kernel has built at once, each but the first has struck the entry of
// the one before. This is the first one.
KernelUcontext& first_struck(KernelUcontext* context) {
  while (is_at_handler(context->rip))
    context = Memory::at<KernelUcontext>({context->r12_to_rax[kRdx]});
  return *context;
}

// Before the signal of a trap the kernel delivers what waits with the siginfo of a fault, although
// it is blocked; and before one like it that sysload lets in. A fault that is one finds its signal
// open, or ends the process, and a call that has opened it for its own time (ppoll) stands at its
// end.
// Source: linux, kernel/signal.c, dequeue_synchronous_signal().
bool is_taken_for_trap(const ThreadBlock& block, int signal, const KernelSiginfo& info,
                       KernelUcontext* context) {
  if (info.code <= 0 || (context->mask >> (signal - 1) & 1) == 0) return false;
  const uint64_t rip = first_struck(context).rip;
  const bool is_after_call = is_behind_call(rip) && block.call.number != __NR_rt_sigprocmask;
  return is_at_trap({rip}) || (is_in_sysload(rip) && !is_after_call);
}

// What another frame's handler goes on with is the runtime's.
uint64_t to_what_was_struck(const ThreadBlock& block, const KernelUcontext& context) {
  const bool is_runtime = is_at_handler(context.rip) || is_in_runtime(block, context);
  return is_runtime ? SYSLOAD_SIGNAL_TO_RUNTIME : SYSLOAD_SIGNAL_TO_PROGRAM;
}

// A program that steps itself is not stepped in the runtime, where signals are blocked at times.
// They are from here on, so that the runtime is left by the way on which kStepOn strikes.
void step_over_runtime(ThreadBlock& block, KernelUcontext& context) {
  context.flags_register &= ~uint64_t{SYSLOAD_TRAP_FLAG};
  if (!is_in_runtime(block, context)) return;
  keep_away_behind(block, context);
  block.pending |= SYSLOAD_PENDING_BLOCKED;
  block.steps = true;
}

// True: its handler sees nothing.
bool is_step_over_call(ThreadBlock& block, KernelUcontext* context) {
  RuntimeAddr next{context->rip};
  if (is_in_sysload(context->rip)) {
    if (!is_on_the_way_in(context->rip)) step_over_runtime(block, *context);
    return true;
  }
  if (!is_unseen_step({context->rip}, &next)) return false;
  context->rip = next.value;
  return true;
}

// Elsewhere another signal's handler has been before it.
uint64_t step_on(ThreadBlock& block, KernelUcontext& context) {
  if (is_on_the_way_out(context.rip)) {
    mend(block, context);
    context.flags_register |= SYSLOAD_TRAP_FLAG;
  }
  return to_what_was_struck(block, context);
}

// What is sysload's own. False: it is the program's, or has struck the runtime.
bool serve_own(ThreadBlock* block, int signal, const KernelSiginfo& info, KernelUcontext* context) {
  if (is_taken_for_trap(*block, signal, info, context)) {
    put_back_signal(block, signal, info);
    return true;
  }
  if (is_step(static_cast<uint64_t>(signal), info, *context)) {
    if (is_step_over_call(*block, context)) return true;
    if (goes_on_stepping(*context)) return false;
  }
  KernelUcontext& struck = first_struck(context);
  if (!may_be_poisons(signal, info)) return false;
  const RuntimeAddr stub = stub_behind_poison({struck.rip});
  if (stub.value != 0) struck.rip = stub.value;
  return stub.value != 0;
}

uint64_t act_on(int signal, KernelSiginfo* info, KernelUcontext* context) {
  ThreadBlock* const block = own_block();
  const auto number = static_cast<uint64_t>(signal);
  if (signal == kSigTrap && info->code == kStepOn) {
    lead_to_held(*block, signal);
    return step_on(*block, *context);
  }
  KernelUcontext& struck = first_struck(context);
  if (!may_be_poisons(signal, *info)) struck.rip = back_to_poison({struck.rip}).value;
  if (serve_own(block, signal, *info, context)) {
    lead_to_held(*block, signal);
    return to_what_was_struck(*block, *context);
  }
  const bool is_caught = signal == kSigSys && info->code == kUserDispatch &&
                         sysload_state.exhaustive && info->address == struck.rip;
  if (is_fault(signal, *info) && context->rip == address(sysload_copy_begin)) {
    context->rip = address(sysload_copy_end);
    set_again(*block, signal);
    return SYSLOAD_SIGNAL_TO_RUNTIME;
  }
  if (is_in_runtime(*block, *context)) {
    const bool is_dispatched = is_caught && is_at_handler(context->rip);
    if (is_dispatched) {
      lead_to_held(*block, signal);
      redirect_caught(block, *info, struck);
      return SYSLOAD_SIGNAL_TO_RUNTIME;
    }
    const bool is_raised = !is_forged({number, *info, *context});
    if (is_caught || (is_fault(signal, *info) && is_raised)) die_in_hook(*block, signal, *context);
    put_off(*block, signal, *info, *context);
    return SYSLOAD_SIGNAL_TO_RUNTIME;
  }
  if (is_caught) {
    lead_to_held(*block, signal);
    redirect_caught(block, *info, *context);
    return SYSLOAD_SIGNAL_TO_PROGRAM;
  }
  recall_signal(block, signal, info);
  if (is_masked(*block, signal)) {
    // The kernel forces nothing upon a thread that has blocked it, but ends the process.
    if (info->code > 0 && !is_forged({number, *info, *context})) {
      act_by_default({number, *info, *context}, kSigDefault);
    } else {
      hold_signal(block, signal, *info);
    }
    return SYSLOAD_SIGNAL_TO_PROGRAM;
  }
  if (info->code != kPoke) lead_to_held(*block, signal);
  if (!take_held_signal(block, signal, info)) return SYSLOAD_SIGNAL_TO_PROGRAM;
  if (is_on_fault_stack(*block, Memory::address_of(context).value) &&
      block->signals->action[signal].handler != kSigDefault) {
    send_elsewhere(*block, signal, *info, *context);
    return SYSLOAD_SIGNAL_TO_PROGRAM;
  }
  const bool was_lent = block->lends;
  show_program(*block, {number, *info, *context});
  KernelSigaction& wanted = block->signals->action[signal];
  const uint64_t handler = wanted.handler;
  if (is_taken_over(signal) && (wanted.flags & kSigResetHand) != 0) wanted.handler = kSigDefault;
  const bool runs_handler = handler != kSigDefault && handler != kSigIgnore;
  mend_mask(block, context, was_lent, runs_handler);
  mend_trap(*block, signal, *info, *context);
  if (runs_handler) hide_fault_stack(*block, context);
  if (runs_handler) return handler;
  act_by_default({number, *info, *context}, handler);
  return SYSLOAD_SIGNAL_TO_PROGRAM;
}

}  // namespace

// The handler to run, or one of SYSLOAD_SIGNAL_*. A signal on the way to a handler of the program's
// strikes the program; on the way back it would strike this code on sysload's own stacks, so all
// are blocked until the frame gives the mask back.
extern "C" [[gnu::used, gnu::visibility("hidden")]] uint64_t sysload_on_signal(
    int signal, KernelSiginfo* info, KernelUcontext* context) {
  const PlainFlags plain;
  // All that follows looks into the block. A fault here could end the program without a word.
  if (has_lost_block()) refuse_gs_base();
  if (sysload_state.expects_foreign_threads) adopt_struck(context);
  const uint64_t answer = act_on(signal, info, context);
  uint64_t mask = 0;
  if (answer <= SYSLOAD_SIGNAL_TO_PROGRAM) block_signals(&mask);
  return answer;
}

}  // namespace sysrewrite
