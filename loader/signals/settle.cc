#include "loader/signals/settle.h"

#include <asm/unistd.h>

#include "loader/label.h"
#include "loader/memory.h"
#include "loader/serve/serve.h"
#include "loader/signals/action_call.h"
#include "loader/signals/handler_table.h"
#include "loader/signals/position.h"
#include "loader/signals/struck.h"
#include "loader/signals/trap.h"
#include "loader/signals/watched_signals.h"
#include "loader/state.h"

// What is changed in a frame takes several stores, and another signal may strike between them.
// They are logged first; whoever finds the log finishes what it says. All that is done before can
// be done twice.

namespace sysrewrite {

namespace {

constexpr uint64_t kSyscall = 2;

extern "C" [[gnu::visibility("hidden")]] const std::byte sysload_handler[],
    sysload_handler_pushed[], sysload_handler_lowered[], sysload_handler_marked[],
    sysload_handler_cleared[], sysload_handler_raised[], sysload_handler_back[],
    sysload_handler_end[], sysload_sigreturn[], sysload_sigreturn_lowered[],
    sysload_sigreturn_marked[], sysload_sigreturn_cleared[], sysload_sigreturn_raised[],
    sysload_sigreturn_end[], sysload_action[], sysload_action_pushed[], sysload_action_lowered[],
    sysload_action_marked[], sysload_action_issued[], sysload_action_kept[],
    sysload_action_cleared[], sysload_action_raised[], sysload_action_end[],
    sysload_callback_pass_tail[], sysload_callback_pass_end[], sysload_callback_far_tail[],
    sysload_callback_far_end[], sysload_callback_serve_tail[], sysload_munmap_saved[],
    sysload_filter_end[], sysload_serve_entry[], sysload_serve_kept[], sysload_serve_pushed[],
    sysload_serve_blocked[], sysload_serve_pass[], sysload_serve_pass_flags[],
    sysload_serve_passed[], sysload_serve_answer[], sysload_serve_answer_flags[],
    sysload_serve_answered[], etext[];

void set(Log& log, KernelUcontext& context, const Position& position, uint64_t interlude) {
  log = {0,
         position.rip,
         position.rsp,
         position.rcx,
         position.r11,
         position.rax,
         position.flags,
         interlude};
  // The compiler is not to exchange these stores: a signal may come between.
  asm volatile("" ::: "memory");
  *static_cast<volatile uint64_t*>(&log.target) = Memory::address_of(&context).value;
  asm volatile("" ::: "memory");
  apply(log);
}

struct Marked {
  Interlude* interlude;
  uint64_t kind;
};

// The interlude in which C++ was interrupted: the one nearest to rsp. Whoever leaves one by another
// way than its end clears its mark, so there is none of long ago.
Marked interlude_above(uint64_t rsp) {
  constexpr uint64_t kMostWords = SYSLOAD_MOST_INTERLUDE_STACK / sizeof(uint64_t);
  for (uint64_t at = align_down(rsp, 8), i = 0; i < kMostWords; at += 8, ++i) {
    auto* const interlude = Memory::at<Interlude>({at});
    const uint64_t kind = interlude->mark - at - SYSLOAD_INTERLUDE_MAGIC;
    if (kind <= SYSLOAD_IS_ACTION) return {interlude, kind};
  }
  return {nullptr, 0};
}

// The call of this tail is still to be made, and all its registers are there.
void to_be_made(uint64_t tail, uint64_t rsp, Position* position) {
  position->rip = tail;
  position->rsp = rsp;
  if (leave_any_stub(position)) return;
  // Caught where nobody rewrote: its syscall stands before the place that it goes on at.
  position->is_used = true;
  position->rip = tail - SYSREWRITE_TAIL_FROM_RESUME - kSyscall;
  position->rsp = rsp + SYSREWRITE_RED_ZONE;
}

// The call is made; `rsp` is the program's.
void is_made(uint64_t tail, uint64_t rsp, Position* position) {
  position->rip = tail - SYSREWRITE_TAIL_FROM_RESUME;
  position->rsp = rsp;
  leave_any_stub(position);
}

// The filter of a callback knows the tail by r11: that of `enter` before `has_tail`.
void leave_filter(KernelUcontext& context, bool has_tail, Position* position) {
  constexpr uint64_t kTailFromEnter =
      SYSREWRITE_RESTART_BEFORE_RESUME + SYSREWRITE_TAIL_FROM_RESUME;
  to_be_made(context.r11 + (has_tail ? 0 : kTailFromEnter), context.rsp, position);
}

bool leave_callback(KernelUcontext& context, Position* position) {
  const uint64_t rip = context.rip;
  const uint64_t in_pass = rip - sysload_state.callback;
  const auto size = static_cast<uint64_t>(sysload_callback_pass_end - sysload_callback_pass);
  const auto tail = static_cast<uint64_t>(sysload_callback_pass_tail - sysload_callback_pass);
  if (sysload_state.callback_is_near && in_pass < size) {
    leave_filter(context, in_pass >= tail, position);
    return true;
  }
  if (is_between(rip, sysload_callback_far, sysload_callback_far_end)) {
    leave_filter(context, rip >= address(sysload_callback_far_tail), position);
    return true;
  }
  // A call that was caught comes here, too, and not from a stub.
  if (rip == address(sysload_callback_hook) || rip == address(sysload_callback_checked) ||
      rip == address(sysload_callback_guarded)) {
    to_be_made(context.rcx + SYSREWRITE_TAIL_FROM_RESUME, context.rsp, position);
    return true;
  }
  if (!is_between(rip, sysload_callback_serve, sysload_filter_end)) return false;
  if (rip >= address(sysload_munmap_saved)) {
    position->flags = with_flags_of(context.r12_to_rax[kRax], position->flags);
    position->rax = __NR_munmap;
  }
  leave_filter(context, rip >= address(sysload_callback_serve_tail), position);
  return true;
}

// `frame` is what serve.S has left on the stack.
void restore_registers(const CallFrame& frame, KernelUcontext& context, Position* position) {
  position->rax = frame.rax;
  context.r12_to_rax[kRdi] = frame.rdi;
  context.r12_to_rax[kRsi] = frame.rsi;
  context.r12_to_rax[kRdx] = frame.rdx;
  context.r10 = frame.r10;
}

bool leave_serving(KernelUcontext& context, Position* position) {
  const uint64_t rip = context.rip;
  if (!is_between(rip, sysload_serve_entry, sysload_serve_answered + 1)) return false;
  if (rip == address(sysload_serve_passed)) {
    to_be_made(context.r11, context.rsp, position);
    return true;
  }
  if (rip == address(sysload_serve_answered)) {
    is_made(context.rcx + SYSREWRITE_TAIL_FROM_RESUME, context.rsp, position);
    return true;
  }
  if (rip < address(sysload_serve_blocked)) {
    const uint64_t end = rip == address(sysload_serve_entry) ? context.rsp : context.rcx;
    if (rip >= address(sysload_serve_pushed))
      restore_registers(*Memory::at<CallFrame>({end - sizeof(CallFrame)}), context, position);
    to_be_made(context.r11, end, position);
    return true;
  }
  const bool is_answered = is_between(rip, sysload_serve_answer, sysload_serve_answered);
  if (!is_answered && !is_between(rip, sysload_serve_pass, sysload_serve_passed)) return false;
  const bool has_flags = rip != address(is_answered ? sysload_serve_answer : sysload_serve_pass);
  const auto& frame = *Memory::at<CallFrame>(
      {context.rsp - (has_flags ? SYSLOAD_FRAME_MASK : SYSLOAD_FRAME_FLAGS)});
  restore_registers(frame, context, position);
  position->flags = frame.flags;
  const uint64_t end = Memory::address_of(&frame).value + sizeof(CallFrame);
  if (is_answered) {
    position->r11 = frame.flags;
    is_made(frame.tail, end + SYSREWRITE_RED_ZONE, position);
  } else {
    to_be_made(frame.tail, end, position);
  }
  return true;
}

// The kernel was about to start a handler, or its wrapper was: it starts now, and is what was
// struck. Where poison has raised it, nothing is to be started.
bool leave_handler(Log& log, KernelUcontext& context, Position* position) {
  const uint64_t rip = context.rip;
  if (is_between(rip, sysload_handler_cleared, sysload_handler_end)) {
    if (rip >= address(sysload_handler_back) || context.rcx == 0) return false;
    position->rip = context.rcx;
    if (rip < address(sysload_handler_raised)) position->rsp += SYSLOAD_WRAPPER_SIZE;
    position->rax = 0;
    return true;
  }
  const bool is_at_thunk = is_thunk(rip);
  if (!is_at_thunk && !is_between(rip, sysload_handler, sysload_handler_marked)) return false;
  const uint64_t signal = context.r12_to_rax[kRdi], outer = context.r12_to_rax[kRdx];
  RuntimeAddr stub;
  if (is_own(signal, context.r12_to_rax[kRsi], outer, &stub)) return false;
  const KernelSigaction said =
      said_by(is_at_thunk ? index_of_thunk(rip) : static_cast<uint32_t>(context.r12_to_rax[kRax]));
  settle(log, signal_at(signal, context.r12_to_rax[kRsi], outer));
  reset_if_asked(signal, said);
  position->rip = said.handler;
  if (!is_at_thunk && rip >= address(sysload_handler_pushed))
    position->rsp += rip < address(sysload_handler_lowered) ? 8 : SYSLOAD_WRAPPER_SIZE;
  position->rax = 0;
  return true;
}

bool leave_sigreturn(KernelUcontext& context, Position* position) {
  const uint64_t rip = context.rip;
  if (!is_between(rip, sysload_sigreturn, sysload_sigreturn_end)) return false;
  const bool is_lowered = is_between(rip, sysload_sigreturn_lowered, sysload_sigreturn_marked) ||
                          is_between(rip, sysload_sigreturn_cleared, sysload_sigreturn_raised);
  if (is_between(rip, sysload_sigreturn_marked, sysload_sigreturn_cleared)) return false;
  position->rax = __NR_rt_sigreturn;
  to_be_made(context.r11, context.rsp + (is_lowered ? SYSLOAD_INTERLUDE_SIZE : 0), position);
  return true;
}

bool leave_action(KernelUcontext& context, Position* position) {
  const uint64_t rip = context.rip;
  if (is_between(rip, sysload_action, sysload_action_marked)) {
    const uint64_t lower = rip < address(sysload_action_pushed)    ? 0
                           : rip < address(sysload_action_lowered) ? 8
                                                                   : SYSLOAD_ACTION_SIZE;
    to_be_made(context.r11, context.rsp + lower, position);
    return true;
  }
  if (!is_between(rip, sysload_action_cleared, sysload_action_end)) return false;
  const uint64_t lower = rip < address(sysload_action_raised)
                             ? SYSLOAD_ACTION_SIZE + SYSREWRITE_RED_ZONE
                             : uint64_t{0};
  is_made(context.rcx + SYSREWRITE_TAIL_FROM_RESUME, context.rsp + lower, position);
  return true;
}

void restore_arguments(const Interlude& interlude, KernelUcontext& context) {
  context.r12_to_rax[kRdi] = interlude.rdi;
  context.r12_to_rax[kRsi] = interlude.rsi;
  context.r12_to_rax[kRdx] = interlude.rdx;
}

// False where there is nothing to start: the signal does what it does by default.
bool leave_wrapper(Log& log, Interlude& interlude, KernelUcontext& context, Position* position) {
  const uint64_t start = Memory::address_of(&interlude).value;
  const uint64_t frame = start + SYSLOAD_WRAPPER_SIZE;
  decide_on_own(interlude);
  if (interlude.what == kBack) {
    position->rip = address(sysload_handler_back);
    position->rsp = frame;
    return true;
  }
  apply(interlude.log);
  settle(log, signal_at(interlude.rdi, interlude.rsi, interlude.rdx));
  const KernelSigaction said = said_by(interlude.what);
  if (said.handler == kSigDefault || said.handler == kSigIgnore) return false;
  reset_if_asked(interlude.rdi, said);
  position->rip = said.handler;
  position->rsp = frame;
  position->rax = 0;
  position->flags = Memory::at<WrapperInterlude>({start})->flags & ~uint64_t{SYSLOAD_TRAP_FLAG};
  restore_arguments(interlude, context);
  return true;
}

void leave_action_call(ActionInterlude& action, KernelUcontext& context, Position* position) {
  if (context.rip == address(sysload_action_issued)) {
    action.result = context.r12_to_rax[kRax];
    action.is_made = 1;
  } else if (context.rip == address(sysload_action_kept)) {
    action.is_made = 1;
  }
  restore_arguments(action.common, context);
  context.r10 = action.r10;
  context.r8 = action.r8;
  context.r9 = action.r9;
  context.r12_to_rax[kRbx] = action.rbx;
  context.r12_to_rax[kRbp] = action.rbp;
  for (size_t i = 0; i < 4; ++i) context.r12_to_rax[kR12 + i] = action.r12_to_r15[i];
  position->flags = action.flags;
  const uint64_t tail = action.common.what;
  const uint64_t end = Memory::address_of(&action).value + SYSLOAD_ACTION_SIZE;
  if (action.is_made == 0) {
    position->rax = __NR_rt_sigaction;
    return to_be_made(tail, end, position);
  }
  finish_action(action);
  position->rax = action.result;
  position->r11 = action.flags;
  is_made(tail, end + SYSREWRITE_RED_ZONE, position);
}

// In C++, or beside it, with the mark set. What is left is named for whoever clears the mark, which
// must be the last thing that is done.
uint64_t leave_interlude(Log& log, KernelUcontext& context, Position* position) {
  const Marked marked = interlude_above(context.rsp);
  if (marked.interlude == nullptr) return 0;
  const uint64_t start = Memory::address_of(marked.interlude).value;
  switch (marked.kind) {
    case SYSLOAD_IS_HANDLER:
      return leave_wrapper(log, *marked.interlude, context, position) ? start : 0;
    case SYSLOAD_IS_SIGRETURN:
      position->rax = __NR_rt_sigreturn;
      to_be_made(marked.interlude->what, start + SYSLOAD_INTERLUDE_SIZE, position);
      return start;
    default:
      leave_action_call(*Memory::at<ActionInterlude>({start}), context, position);
      return start;
  }
}

// Whose call is the program's own: it ends the program's handlers.
bool is_in_restorer(uint64_t rip) {
  constexpr uint64_t kRestorerSize = 9;
  return rip - address(sysload_restorer) < kRestorerSize;
}

}  // namespace

// In this order: the mark is what a signal that strikes here goes by, until the frame is whole.
void apply(Log& log) {
  if (log.target == 0) return;
  KernelUcontext& context = *Memory::at<KernelUcontext>({log.target});
  context.rip = log.rip;
  context.rsp = log.rsp;
  context.rcx = log.rcx;
  context.r11 = log.r11;
  context.r12_to_rax[kRax] = log.rax;
  context.flags_register = log.flags;
  asm volatile("" ::: "memory");
  if (log.interlude != 0) Memory::at<Interlude>({log.interlude})->mark = 0;
  asm volatile("" ::: "memory");
  log.target = 0;
}

void settle(Log& log, const Signal& signal) {
  KernelUcontext& context = signal.context;
  Position position{context.rip,
                    context.rsp,
                    context.rcx,
                    context.r11,
                    context.r12_to_rax[kRax],
                    context.flags_register,
                    false};
  uint64_t interlude = 0;
  const uint64_t rip = context.rip;
  const bool is_traps = may_be_poisons(static_cast<int>(signal.number), signal.info);
  if (!leave_callback(context, &position) && !leave_serving(context, &position) &&
      !leave_handler(log, context, &position) && !leave_sigreturn(context, &position) &&
      !leave_action(context, &position)) {
    if (!is_in_sysload(rip) || is_in_restorer(rip)) {
      if (!leave_any_stub(&position) && !is_traps) position.rip = back_to_poison({rip}).value;
    } else if (!is_between(rip, sysload_handler_cleared, sysload_handler_end) &&
               !is_between(rip, sysload_handler, sysload_handler_marked) && !is_thunk(rip)) {
      if (!sysload_state.has_engine) interlude = leave_interlude(log, context, &position);
    }
  }
  if (position.rip == rip) return;
  if (position.is_used) {
    position.rcx = position.rip + kSyscall;
    position.r11 = position.flags;
  }
  // Before rip is changed, by which whoever has to begin again knows that this is to be done.
  if (names_place(signal.number, signal.info, rip)) signal.info.address = position.rip;
  set(log, context, position, interlude);
}

}  // namespace sysrewrite
