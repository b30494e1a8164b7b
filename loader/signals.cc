#include "loader/signals.h"

#include <asm/unistd.h>
#include <linux/errno.h>

#include <array>
#include <cstring>

#include "loader/alternate_stack.h"
#include "loader/exhaustive.h"
#include "loader/foreign_threads.h"
#include "loader/handlers.h"
#include "loader/hook_call.h"
#include "loader/label.h"
#include "loader/plain_flags.h"
#include "loader/position.h"
#include "loader/process_lock.h"
#include "loader/program_mask.h"
#include "loader/program_memory.h"
#include "loader/put_off.h"
#include "loader/report.h"
#include "loader/state.h"
#include "loader/trap.h"

// Every handler that a program sets is set as sysload_signal_entry; which one was meant stands in
// the table. The entry looks where the signal has struck:
//
//   in the program     the program's handler runs, on the frame that the kernel has built
//   in the runtime     in a hook, whose rsp is the hook stack's, or in this very code, which runs
//   on
//                      whatever stack the kernel has chosen where the hook stack is in use. The
//                      signal is put off: it is sent to this thread again, with all signals blocked
//                      from here on. The way out sees that, and lets it through when rsp is the
//                      program's.
//   at the call        what hook_entry.S says of that place: the call has not begun, is undone, or
//                      is finished; the frame is mended so that the program goes on from there
//
// So when a handler of the program's starts no call is under way in its thread. It may make calls
// of its own, leave by longjmp, or never return.
//
// Legal here: C++ that is content with some hundred bytes of stack.

namespace sysrewrite {

namespace {

constexpr uint64_t kRestorerSize = 9;

// Of what the program said, the flags that it is shown again.
constexpr uint64_t kAlwaysSet = kSigInfo;

// Addresses of hook_entry.S.
extern "C" [[gnu::visibility("hidden")]] const std::byte sysload_hook_entered[],
    sysload_hook_alternate[], sysload_hook_alternate_saved[], sysload_hook_alternate_flags[],
    sysload_hook_alternate_blocked[], sysload_hook_leave[], sysload_hook_leave_end[],
    sysload_hook_leave_slowly[], sysload_hook_left[], sysload_hook_pass[], sysload_hook_pass_end[],
    sysload_hook_pass_slowly[], sysload_hook_passed_on[], sysload_hook_to_issue[],
    sysload_hook_to_issue_end[], sysload_hook_end[], sysload_hook_end_end[],
    sysload_hook_end_slowly[], sysload_hook_ending[], sysload_hook_ended[], sysload_hook_load[],
    sysload_hook_to_load[], sysload_hook_issue[], sysload_hook_issued[],
    sysload_hook_issued_saved[], sysload_hook_issued_switched[], sysload_hook_issued_alternate[],
    sysload_hook_issued_end[], sysload_hook_unblocked[], sysload_hook_unblocked_end[],
    sysload_signal_entry[], sysload_signal_back[], sysload_signal_raised[],
    sysload_signal_handled[], sysload_signal_unblocked[], sysload_signal_end[],
    sysload_copy_begin[], sysload_copy_end[], sysload_callback_checked_end[], sysload_check_saved[],
    sysload_check_loaded[], sysload_check_exit_saved[], sysload_check_exit_loaded[],
    sysload_serve_entry[], sysload_serve_answered[], etext[];

bool is_watched(int signal) {
  // The kernel may deliver it in the place of a trap's (is_taken_for_trap()).
  if (signal == kSigSys) return sysload_state.open_signals != 0;
  return signal == kSigIll || signal == kSigTrap || signal == kSigBus || signal == kSigFpe ||
         signal == kSigSegv;
}

// Even where the program ignores it. What is ignored otherwise stays so in what it executes.
bool is_always_needed(int signal) {
  return (signal == kSigSys && sysload_state.exhaustive) ||
         (signal == kSigTrap && has_lone_poison());
}

bool is_fault(int signal, const KernelSiginfo& info) {
  return is_watched(signal) && signal != kSigSys && info.code > 0;
}

// Nothing strikes meanwhile: of a program without an alternate stack, what the kernel delivers
// together with a trap would lie on the fault stack above it, which is small.
KernelSigaction watching_action() {
  constexpr uint64_t kEverySignal = ~uint64_t{0};
  return {address(sysload_signal_entry), kSigWatching, Memory::address_of(sysload_restorer).value,
          kEverySignal};
}

[[noreturn]] void die_in_hook(const ThreadBlock& block, int signal, const KernelUcontext& context) {
  const HookSet& hooks = *sysload_state.hooks;
  const char* const kind = signal == kSigSegv || signal == kSigBus
                               ? "touches memory that is not there"
                           : signal == kSigIll ? "executes what is no instruction"
                           : signal == kSigFpe ? "divides by zero"
                           : signal == kSigSys ? "makes a system call that is not the api's"
                                               : "traps";
  if (block.running == 0 || block.running > hooks.count)
    fail("hooks", "sysload itself ", kind, ", at ", Hex{context.rip}, ": please report this");
  const LoadedHook& loaded = hooks.loaded[block.running - 1];
  const uint64_t stack_left = context.rsp - (block.stack - kBlockStack);
  if (static_cast<int64_t>(stack_left) < 512)
    fail("hook", loaded.name, ": its stack of ", uint64_t{SYSLOAD_HOOK_STACK},
         " bytes is used up, in call ", block.call.number);
  fail("hook", loaded.name, ": ", kind, ", at ", Hex{context.rip - loaded.base.value},
       " of it, in call ", block.call.number, "; the program is ended");
}

// Everything is the program's, but rip, which is in rcx.
bool is_left(uint64_t rip) {
  return rip == address(sysload_hook_left) || rip == address(sysload_hook_passed_on) ||
         rip == address(sysload_hook_ended);
}

// Not made, or to be made again: `syscall` itself counts.
bool is_to_be_made(uint64_t rip) {
  return rip == address(sysload_hook_to_load) ||
         rip - address(sysload_hook_load) <=
             address(sysload_hook_issue) - address(sysload_hook_load);
}

// A call is done, and nothing else has begun.
bool is_done(uint64_t rip) {
  return is_between(rip, sysload_hook_issued, sysload_hook_issued_switched) ||
         is_between(rip, sysload_hook_issued_alternate, sysload_hook_issued_end);
}

// The call of a thread whose block may be another's: nothing of it has begun.
bool is_checked(uint64_t rip) {
  return is_between(rip, sysload_callback_checked, sysload_callback_checked_end);
}

// sysload's own code where it stands between the program and the runtime: rsp is the program's.
bool is_between_program_and_runtime(uint64_t rip) {
  return is_between(rip, sysload_callback_hook, sysload_hook_entered) ||
         is_between(rip, sysload_hook_alternate, sysload_hook_alternate_blocked) ||
         is_between(rip, sysload_hook_unblocked, sysload_hook_unblocked_end) ||
         is_between(rip, sysload_signal_back, sysload_signal_end) || is_checked(rip) ||
         is_between(rip, sysload_serve_entry, sysload_serve_answered + 1) || is_left(rip) ||
         is_to_be_made(rip) || is_done(rip) || rip == address(sysload_hook_ending) ||
         rip - address(sysload_restorer) < kRestorerSize;
}

// This code itself, before it knows what to do, on a stack of the program's.
bool is_in_this_code(const ThreadBlock& block, const KernelUcontext& context) {
  return is_between(context.rip, __ehdr_start, etext) && !is_on_hook_stack(block, context.rsp) &&
         !is_between_program_and_runtime(context.rip);
}

// What the kernel is given for a handler. What sysload watches, the kernel is not to reset.
KernelSigaction handled_action(int signal, const KernelSigaction& wanted) {
  KernelSigaction ours = wanted;
  ours.handler = address(sysload_signal_entry);
  ours.flags |= kAlwaysSet;
  if (is_watched(signal)) ours.flags &= ~kSigResetHand;
  return ours;
}

// The kernel may have reset the disposition when it delivered the signal.
void set_again(const ThreadBlock& block, int signal) {
  const KernelSigaction& wanted = block.signals->action[signal];
  if ((wanted.flags & kSigResetHand) == 0 || is_watched(signal)) return;
  const KernelSigaction ours = handled_action(signal, wanted);
  set_action(signal, &ours, nullptr);
}

// Sends the signal once more, and keeps everything away until the runtime is left.
void put_off(ThreadBlock& block, int signal, const KernelSiginfo& info, KernelUcontext& context) {
  uint64_t mask = 0;
  block_signals(&mask);
  // Another signal may have come up to here, and was put off, too: its frame has this one's mask.
  block.mask = context.mask;
  block.pending |= SYSLOAD_PENDING_SIGNAL;
  set_again(block, signal);
  put_off_signal(&block, signal, info);
  context.mask = ~uint64_t{0};
  const uint64_t struck = context.rip;
  const bool is_leaving = is_between(context.rip, sysload_hook_leave, sysload_hook_leave_end);
  if (is_leaving) context.rip = address(sysload_hook_leave_slowly);
  if (is_between(context.rip, sysload_hook_pass, sysload_hook_pass_end))
    context.rip = address(sysload_hook_pass_slowly);
  if (is_between(context.rip, sysload_hook_to_issue, sysload_hook_to_issue_end))
    context.rip = address(sysload_hook_leave_slowly);
  if (is_between(context.rip, sysload_hook_end, sysload_hook_end_end))
    context.rip = address(sysload_hook_end_slowly);
  // The program's flags may be there already, and are once more behind the C++ that runs first.
  if (context.rip != struck) context.flags_register &= ~uint64_t{SYSLOAD_ODD_FLAGS};
}

// The call has not begun: it begins again, from the callback, since what is of interest in it, and
// its rsp, lie in the block already, and a handler's calls are going to overwrite both.
void begin_again(const ThreadBlock& block, KernelUcontext& context) {
  const uint64_t rip = context.rip;
  if (rip == address(sysload_callback_hook)) return;
  context.rip = address(sysload_callback_hook);
  context.rcx = context.r11 - SYSREWRITE_TAIL_FROM_RESUME;
  const bool registers_lie_in_block =
      is_between(rip, sysload_hook_alternate_saved, sysload_hook_alternate_blocked);
  if (!registers_lie_in_block) return;
  context.r12_to_rax[kRax] = block.registers.rax;
  context.r12_to_rax[kRdi] = block.registers.rdi;
  context.r12_to_rax[kRsi] = block.registers.rsi;
  context.r12_to_rax[kRdx] = block.registers.rdx;
  context.r10 = block.registers.r10;
  if (rip >= address(sysload_hook_alternate_flags))
    context.flags_register = with_flags_of(block.lahf, context.flags_register);
}

// The same, where the block is not looked into yet.
void begin_check_again(KernelUcontext& context) {
  const uint64_t rip = context.rip;
  if (is_between(rip, sysload_check_saved, sysload_check_loaded)) {
    const auto& saved = *Memory::at<std::array<uint64_t, 2>>({context.rsp - 16});
    context.r12_to_rax[kRax] = saved[0];
    context.r11 = saved[1];
  } else if (is_between(rip, sysload_check_exit_saved, sysload_check_exit_loaded)) {
    context.r12_to_rax[kRax] = __NR_exit;
    context.r11 = context.r10;
  }
  if (rip == address(sysload_callback_checked)) return;
  context.rip = address(sysload_callback_checked);
  context.rcx = context.r11 - SYSREWRITE_TAIL_FROM_RESUME;
}

// The kernel is about to take the call up for the rest of its time, and has not come to it. Made
// anew it would wait for all of it, so it ends as if the signal had come a moment before. Source:
// linux, kernel/signal.c, restart_syscall(); arch/x86/kernel/signal.c,
// arch_do_signal_or_restart().
void end_resumed_call(const ThreadBlock& block, KernelUcontext& context) {
  uint64_t& rax = context.r12_to_rax[kRax];
  const bool is_resumed = context.rip == address(sysload_hook_issue) &&
                          rax == __NR_restart_syscall && block.call.number != __NR_restart_syscall;
  if (!is_resumed) return;
  context.rip = address(sysload_hook_issued);
  rax = static_cast<uint64_t>(int64_t{-EINTR});
}

// What leaving would have put into the registers.
void finish_leaving(const ThreadBlock& block, KernelUcontext& context) {
  context.r12_to_rax[kRax] = block.leave_rax;
  context.r12_to_rax[kRdi] = block.registers.rdi;
  context.r12_to_rax[kRsi] = block.registers.rsi;
  context.r12_to_rax[kRdx] = block.registers.rdx;
  context.r10 = block.registers.r10;
  context.r8 = block.registers.r8;
  context.r9 = block.registers.r9;
  context.r11 = block.leave_r11;
  context.rsp = block.leave_rsp;
  context.rip = context.rcx = block.leave_rcx;
  constexpr uint64_t kArithmetic = 0x8d5;
  context.flags_register = (context.flags_register & ~kArithmetic) | (block.flags & kArithmetic);
}

// Another signal's handler was about to start: it starts now, and is what was struck.
void start_handler(KernelUcontext& context) {
  const uint64_t rip = context.rip;
  if (is_between(rip, sysload_signal_raised, sysload_signal_handled)) {
    context.rip = context.rcx;
  } else if (const bool is_unblocked =
                 is_between(rip, sysload_signal_unblocked, sysload_signal_end);
             is_unblocked || is_between(rip, sysload_signal_back, sysload_signal_raised)) {
    const auto& saved = *Memory::at<std::array<uint64_t, 3>>({context.rsp});
    context.rip = context.r12_to_rax[is_unblocked ? kRbx : kRax];
    context.r12_to_rax[kRdx] = saved[0];
    context.r12_to_rax[kRsi] = saved[1];
    context.r12_to_rax[kRdi] = saved[2];
    context.rsp += sizeof(saved);
  } else {
    return;
  }
  context.r12_to_rax[kRax] = 0;
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
  return signal.number == kSigSys && signal.info.code > 0 &&
         is_between(signal.info.address, __ehdr_start, etext);
}

// Brings what the signal has struck into a state that the program could have been in.
void mend(ThreadBlock& block, KernelUcontext& context) {
  if (is_between(context.rip, sysload_callback_hook, sysload_hook_entered) ||
      is_between(context.rip, sysload_hook_alternate, sysload_hook_alternate_blocked))
    return begin_again(block, context);
  if (is_checked(context.rip)) return begin_check_again(context);
  if (is_between(context.rip, sysload_hook_unblocked, sysload_hook_unblocked_end))
    finish_leaving(block, context);
  if (context.rip == address(sysload_hook_ending)) {
    context.rsp += SYSREWRITE_RED_ZONE;
    context.rip = context.rcx;
  }
  if (is_left(context.rip)) context.rip = context.rcx;
  start_handler(context);
  end_resumed_call(block, context);
  const bool is_undone = is_to_be_made(context.rip);
  if (!is_undone && !is_done(context.rip)) return;
  uint64_t mask = 0;
  block_signals(&mask);
  const bool is_saved = !is_between(context.rip, sysload_hook_issued, sysload_hook_issued_saved);
  if (!is_undone && !is_saved) block.result = context.r12_to_rax[kRax];
  sysload_call_on_hook_stack(is_undone ? &undo_call : &finish_call, &block);
  finish_leaving(block, context);
  set_signals(mask);
}

// What a handler is to see: the program where it stands, and nothing of sysload's.
void show_program(ThreadBlock& block, const Signal& signal) {
  const bool names_rip =
      names_place(signal.number, signal.info, signal.context.rip) || names_own_call(signal);
  mend(block, signal.context);
  leave_runtime(signal);
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

void set_signals(const uint64_t& mask) {
  sys::call(__NR_rt_sigprocmask, SYSLOAD_SIG_SETMASK, Memory::address_of(&mask).value, 0,
            SYSLOAD_SIGSET_SIZE);
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
  while (context->rip == address(sysload_signal_entry))
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
  const bool is_after_call =
      rip == address(sysload_hook_issued) && block.call.number != __NR_rt_sigprocmask;
  return is_at_trap({rip}) || (is_between(rip, __ehdr_start, etext) && !is_after_call);
}

// What another frame's handler goes on with is the runtime's.
uint64_t to_what_was_struck(const KernelUcontext& context) {
  return context.rip == address(sysload_signal_entry) ? SYSLOAD_SIGNAL_TO_RUNTIME
                                                      : SYSLOAD_SIGNAL_TO_PROGRAM;
}

// A program that steps itself is not stepped in the runtime, where signals are blocked at times,
// nor behind a call, from where nothing leads back to it. True: its handler sees nothing.
bool is_step_over_call(KernelUcontext* context) {
  RuntimeAddr next{context->rip};
  const bool is_in_sysload = is_between(context->rip, __ehdr_start, etext);
  if (is_in_sysload) context->flags_register &= ~uint64_t{SYSLOAD_TRAP_FLAG};
  if (!is_in_sysload && !is_unseen_step({context->rip}, &next)) return false;
  context->rip = next.value;
  return true;
}

// What is sysload's own. False: it is the program's, or has struck the runtime.
bool serve_own(ThreadBlock* block, int signal, const KernelSiginfo& info, KernelUcontext* context) {
  if (is_taken_for_trap(*block, signal, info, context)) {
    put_back_signal(block, signal, info);
    return true;
  }
  if (is_step(static_cast<uint64_t>(signal), info, *context)) {
    if (is_step_over_call(context)) return true;
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
  KernelUcontext& struck = first_struck(context);
  if (!may_be_poisons(signal, *info)) struck.rip = back_to_poison({struck.rip}).value;
  if (serve_own(block, signal, *info, context)) return to_what_was_struck(*context);
  const bool is_caught = signal == kSigSys && info->code == kUserDispatch &&
                         sysload_state.exhaustive && info->address == struck.rip;
  if (is_fault(signal, *info) && context->rip == address(sysload_copy_begin)) {
    context->rip = address(sysload_copy_end);
    set_again(*block, signal);
    return SYSLOAD_SIGNAL_TO_RUNTIME;
  }
  const bool is_in_runtime =
      is_on_hook_stack(*block, context->rsp) || is_in_this_code(*block, *context);
  if (is_in_runtime) {
    const bool is_dispatched = is_caught && context->rip == address(sysload_signal_entry);
    if (is_dispatched) {
      redirect_caught(struck);
      return SYSLOAD_SIGNAL_TO_RUNTIME;
    }
    const bool is_raised = !is_forged({number, *info, *context});
    if (is_caught || (is_fault(signal, *info) && is_raised)) die_in_hook(*block, signal, *context);
    put_off(*block, signal, *info, *context);
    return SYSLOAD_SIGNAL_TO_RUNTIME;
  }
  if (is_caught) {
    redirect_caught(*context);
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
  if (!take_held_signal(signal, info)) return SYSLOAD_SIGNAL_TO_PROGRAM;
  if (is_on_fault_stack(*block, Memory::address_of(context).value) &&
      block->signals->action[signal].handler != kSigDefault) {
    send_elsewhere(*block, signal, *info, *context);
    return SYSLOAD_SIGNAL_TO_PROGRAM;
  }
  const bool was_lent = block->lends;
  show_program(*block, {number, *info, *context});
  KernelSigaction& wanted = block->signals->action[signal];
  const uint64_t handler = wanted.handler;
  if (is_watched(signal) && (wanted.flags & kSigResetHand) != 0) wanted.handler = kSigDefault;
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
  if (sysload_state.expects_foreign_threads) adopt_struck(context);
  const uint64_t answer = act_on(signal, info, context);
  uint64_t mask = 0;
  if (answer <= SYSLOAD_SIGNAL_TO_PROGRAM) block_signals(&mask);
  return answer;
}

void watch_faults() {
  SignalTable& table = sysload_state.hooks->signals;
  for (const int signal : {kSigIll, kSigTrap, kSigBus, kSigFpe, kSigSegv, kSigSys}) {
    if (!is_watched(signal)) continue;
    set_action(signal, nullptr, &table.action[signal]);
    if (table.action[signal].handler == kSigIgnore && !is_always_needed(signal)) continue;
    const KernelSigaction ours = watching_action();
    const int64_t answer = set_action(signal, &ours, nullptr);
    if (sys::failed(answer))
      fail_errno(answer, "hooks", "cannot handle signal ", static_cast<uint64_t>(signal));
  }
  sysload_state.watches_faults = true;
}

namespace {

// A disposition that execve is to find: what is ignored is ignored in the new program, too.
void set_ignored(const ThreadBlock& block, const KernelSigaction& action) {
  for (const int signal : {kSigTrap, kSigSys}) {
    const bool is_open = (sysload_state.open_signals >> (signal - 1) & 1) != 0;
    if (is_open && block.signals->action[signal].handler == kSigIgnore)
      set_action(signal, &action, nullptr);
  }
}

}  // namespace

void ignore_for_exec(const ThreadBlock& block) {
  set_ignored(block, {kSigIgnore, 0, 0, 0});
}

void watch_after_exec(const ThreadBlock& block) {
  set_ignored(block, watching_action());
}

int64_t serve_sigaction(ThreadBlock* block, uint64_t number, uint64_t action, uint64_t old_action,
                        uint64_t size) {
  if (size != SYSLOAD_SIGSET_SIZE) return -EINVAL;
  KernelSigaction wanted{}, old{};
  const auto bytes = [](KernelSigaction& value) {
    return Memory::bytes(Memory::address_of(&value), sizeof(value));
  };
  if (action != 0 && read_program(action, bytes(wanted)) != sizeof(wanted)) return -EFAULT;
  const auto signal = static_cast<int>(number);
  if (signal < 1 || signal > kMostSignals) return -EINVAL;
  const bool changes = action != 0;
  const bool handles = wanted.handler != kSigDefault && wanted.handler != kSigIgnore;
  const ProcessLock lock(Guarded::kSignals);  // table and kernel change together
  KernelSigaction& kept = block->signals->action[signal];
  const KernelSigaction before = kept;
  KernelSigaction given = wanted;
  if (changes && signal != kSigKill && signal != kSigStop) {
    kept = as_kept(wanted);
    if (handles)
      given = handled_action(signal, wanted);
    else if (is_watched(signal) && (wanted.handler == kSigDefault || is_always_needed(signal)))
      given = watching_action();
  }
  const int64_t answer = set_action(signal, changes ? &given : nullptr, &old);
  if (sys::failed(answer)) {
    kept = before;
    return answer;
  }
  if (changes) kept = as_kept(wanted);
  if (changes && wanted.handler == kSigIgnore) forget_put_off(block, signal);
  if (old_action == 0) return answer;
  if (old.handler == address(sysload_signal_entry))
    old = before;
  else if ((before.flags & kSigInfo) == 0)  // reset by the kernel, which keeps the flags
    old.flags &= ~kAlwaysSet;
  return write_program(old_action, as_byte_view(&old, sizeof(old)));
}

}  // namespace sysrewrite
