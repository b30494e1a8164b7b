#include "loader/handlers.h"

#include <asm/unistd.h>
#include <linux/errno.h>

#include <array>
#include <cstddef>

#include "loader/handler_table.h"
#include "loader/memory.h"
#include "loader/position.h"
#include "loader/report.h"
#include "loader/serve.h"
#include "loader/state.h"
#include "loader/trap.h"

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
//     the callback, serve.S     the call is still to be made, or made: rip is the syscall, or the
//     one
//                               behind it, and the registers are those of the call
//     this wrapper itself       the handler that it was about to run is the one that was struck, at
//                               its first instruction
//
// A call that is still to be made is made again when the handler returns: rt_sigreturn finds the
// syscall's address in the frame and goes to the stub (on_sigreturn()). Whoever goes there by other
// ways, as setcontext does, meets the poison and the trap.
//
// What is changed in a frame takes several stores, and another signal may strike between them.
// They are logged first (Log); whoever finds the log finishes what it says. All that is done before
// can be done twice.

namespace sysrewrite {

namespace {

// What the frame at `target` is to say, and the interlude that then is left, or 0; target 0:
// nothing.
struct Log {
  uint64_t target, rip, rsp, rcx, r11, rax, flags, interlude;
};

// What lies on a stack while it is worked on.
struct Interlude {
  uint64_t mark, what, rdi, rsi, rdx;
  Log log;
};

struct ActionInterlude {
  Interlude common;
  uint64_t r10, r8, r9, result, is_made;
  KernelSigaction given;
  uint64_t rbx, rbp, r12_to_r15[4], flags;
};

static_assert(offsetof(Interlude, mark) == SYSLOAD_INTERLUDE_MARK);
static_assert(offsetof(Interlude, what) == SYSLOAD_INTERLUDE_WHAT);
static_assert(offsetof(Interlude, rdi) == SYSLOAD_INTERLUDE_RDI);
static_assert(offsetof(Interlude, rsi) == SYSLOAD_INTERLUDE_RSI);
static_assert(offsetof(Interlude, rdx) == SYSLOAD_INTERLUDE_RDX);
static_assert(offsetof(Interlude, log) == SYSLOAD_INTERLUDE_LOG);
static_assert(sizeof(Interlude) == SYSLOAD_INTERLUDE_SIZE);
static_assert(offsetof(ActionInterlude, r10) == SYSLOAD_INTERLUDE_R10);
static_assert(offsetof(ActionInterlude, r8) == SYSLOAD_INTERLUDE_R8);
static_assert(offsetof(ActionInterlude, r9) == SYSLOAD_INTERLUDE_R9);
static_assert(offsetof(ActionInterlude, result) == SYSLOAD_INTERLUDE_RESULT);
static_assert(offsetof(ActionInterlude, is_made) == SYSLOAD_INTERLUDE_IS_MADE);
static_assert(offsetof(ActionInterlude, given) == SYSLOAD_INTERLUDE_GIVEN);
static_assert(offsetof(ActionInterlude, rbx) == SYSLOAD_INTERLUDE_RBX);
static_assert(offsetof(ActionInterlude, rbp) == SYSLOAD_INTERLUDE_RBP);
static_assert(offsetof(ActionInterlude, r12_to_r15) == SYSLOAD_INTERLUDE_R12);
static_assert(offsetof(ActionInterlude, flags) == SYSLOAD_INTERLUDE_FLAGS);
static_assert(sizeof(ActionInterlude) == SYSLOAD_ACTION_SIZE);
// A call reaches C++ with rsp 16-aligned; the kernel starts handlers 8 off.
static_assert(SYSLOAD_INTERLUDE_SIZE % 16 == 8);

// `what` of a wrapper that is to go back, and not to a handler.
constexpr uint64_t kBack = kNoThunk;

constexpr uint64_t kMostSignals = 64, kSyscall = 2;
constexpr uint64_t kEverySignal = ~uint64_t{0};
constexpr uint64_t kOwnFlags = kSigInfo | kSigRestorer | kSigOnStack | kSigNoDefer;

extern "C" [[gnu::visibility("hidden")]] const std::byte sysload_handler[],
    sysload_handler_lowered[], sysload_handler_marked[], sysload_handler_cleared[],
    sysload_handler_raised[], sysload_handler_back[], sysload_handler_end[], sysload_sigreturn[],
    sysload_sigreturn_lowered[], sysload_sigreturn_marked[], sysload_sigreturn_cleared[],
    sysload_sigreturn_raised[], sysload_sigreturn_end[], sysload_action[], sysload_action_pushed[],
    sysload_action_lowered[], sysload_action_marked[], sysload_action_issued[],
    sysload_action_kept[], sysload_action_cleared[], sysload_action_raised[], sysload_action_end[],
    sysload_callback_pass_tail[], sysload_callback_pass_end[], sysload_callback_far_tail[],
    sysload_callback_far_end[], sysload_callback_serve_tail[], sysload_munmap_saved[],
    sysload_filter_load_rsi[], sysload_filter_load_rdi[], sysload_filter_pass[],
    sysload_filter_end[], sysload_serve_entry[], sysload_serve_kept[], sysload_serve_pushed[],
    sysload_serve_blocked[], sysload_serve_pass[], sysload_serve_pass_flags[],
    sysload_serve_passed[], sysload_serve_answer[], sysload_serve_answer_flags[],
    sysload_serve_answered[], etext[];

uint64_t address(const std::byte* label) {
  return Memory::address_of(label).value;
}

bool is_between(uint64_t rip, const std::byte* first, const std::byte* end) {
  return rip - address(first) < static_cast<uint64_t>(end - first);
}

// Indices in KernelUcontext::r12_to_rax, by name.
enum Saved : size_t { kR12 = 0, kRdi = 4, kRsi = 5, kRbp = 6, kRbx = 7, kRdx = 8, kRax = 9 };

// Whether sysload has to see this signal, whatever the program makes of it.
bool is_watched(uint64_t signal) {
  const bool reads_paths = sysload_state.exe_size != 0;
  if (signal == kSigBus) return reads_paths;
  if (signal == kSigSegv) return reads_paths || sysload_state.handlers.has_lone_poison;
  return signal == kSigTrap && sysload_state.site_tables.count != 0;
}

// Whether the frame and its siginfo are those of a trap or fault of sysload's own doing, and where
// the program goes on then: it has met poison, or the filter of serve.S has read a path that is not
// there, of which the kernel is to say so.
bool is_own(uint64_t signal, uint64_t info, uint64_t context, RuntimeAddr* next) {
  const auto& cause = *Memory::at<KernelSiginfo>({info});
  if (!is_watched(signal) || cause.code <= 0) return false;
  const uint64_t rip = Memory::at<KernelUcontext>({context})->rip;
  const bool is_load = signal != kSigTrap && (rip == address(sysload_filter_load_rsi) ||
                                              rip == address(sysload_filter_load_rdi));
  *next = {0};
  if (is_load) *next = {address(sysload_filter_pass)};
  if (!is_load && may_be_poisons(static_cast<int>(signal), cause))
    *next = stub_behind_poison({rip});
  return next->value != 0;
}

// --- Where a signal has struck -------------------------------------------------------------------

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

void settle(Log& log, KernelUcontext& context);

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

// lahf and seto, as ax has them.
void restore_flags(uint64_t ax, Position* position) {
  constexpr uint64_t kFromAh = 0xd5, kOverflow = 0x800;
  position->flags &= ~(kFromAh | kOverflow);
  position->flags |= (ax >> 8 & kFromAh) | ((ax & 1) != 0 ? kOverflow : 0);
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
  if (rip == address(sysload_callback_hook)) {
    to_be_made(context.rcx + SYSREWRITE_TAIL_FROM_RESUME, context.rsp, position);
    return true;
  }
  if (!is_between(rip, sysload_callback_serve, sysload_filter_end)) return false;
  if (rip >= address(sysload_munmap_saved)) {
    restore_flags(context.r12_to_rax[kRax], position);
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

bool replace_action(uint64_t signal, KernelSigaction* given);

// SA_RESETHAND, which the kernel is not told of a signal that poison raises, too.
void reset_if_asked(uint64_t signal, const KernelSigaction& said) {
  if (!is_watched(signal) || (said.flags & kSigResetHand) == 0) return;
  KernelSigaction by_default = said;
  by_default.handler = kSigDefault;
  replace_action(signal, &by_default);
  set_action(static_cast<int>(signal), &by_default, nullptr);
}

// The frame goes back to the stub. A signal between these stores finds one that is as good.
void decide_on_own(Interlude& wrapper) {
  RuntimeAddr stub;
  if (wrapper.what == kBack || !is_own(wrapper.rdi, wrapper.rsi, wrapper.rdx, &stub)) return;
  *static_cast<volatile uint64_t*>(&wrapper.what) = kBack;
  asm volatile("" ::: "memory");
  *static_cast<volatile uint64_t*>(&Memory::at<KernelUcontext>({wrapper.rdx})->rip) = stub.value;
}

// The kernel was about to start a handler, or its wrapper was: it starts now, and is what was
// struck. Where poison has raised it, nothing is to be started.
bool leave_handler(Log& log, KernelUcontext& context, Position* position) {
  const uint64_t rip = context.rip;
  if (is_between(rip, sysload_handler_cleared, sysload_handler_end)) {
    if (rip >= address(sysload_handler_back) || context.rcx == 0) return false;
    position->rip = context.rcx;
    if (rip < address(sysload_handler_raised)) position->rsp += SYSLOAD_INTERLUDE_SIZE;
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
  settle(log, *Memory::at<KernelUcontext>({outer}));
  reset_if_asked(signal, said);
  position->rip = said.handler;
  if (!is_at_thunk && rip >= address(sysload_handler_lowered))
    position->rsp += SYSLOAD_INTERLUDE_SIZE;
  position->rax = 0;
  return true;
}

bool leave_sigreturn(KernelUcontext& context, Position* position) {
  const uint64_t rip = context.rip;
  if (!is_between(rip, sysload_sigreturn, sysload_sigreturn_end)) return false;
  const bool is_lowered = is_between(rip, sysload_sigreturn_lowered, sysload_sigreturn_marked) ||
                          is_between(rip, sysload_sigreturn_cleared, sysload_sigreturn_raised);
  if (!is_lowered && is_between(rip, sysload_sigreturn_marked, sysload_sigreturn_cleared))
    return false;
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

void finish_action(const ActionInterlude& action);

// In C++, or beside it, with the mark set. What is left is named for whoever clears the mark, which
// must be the last thing that is done.
uint64_t leave_interlude(Log& log, KernelUcontext& context, Position* position) {
  const Marked marked = interlude_above(context.rsp);
  if (marked.interlude == nullptr) return 0;
  Interlude& interlude = *marked.interlude;
  const uint64_t start = Memory::address_of(&interlude).value;
  if (marked.kind == SYSLOAD_IS_HANDLER) {
    decide_on_own(interlude);
    if (interlude.what == kBack) {
      position->rip = address(sysload_handler_back);
      position->rsp = start + SYSLOAD_INTERLUDE_SIZE;
      return start;
    }
    apply(interlude.log);
    settle(log, *Memory::at<KernelUcontext>({interlude.rdx}));
    const KernelSigaction said = said_by(interlude.what);
    if (said.handler == kSigDefault || said.handler == kSigIgnore) return 0;
    reset_if_asked(interlude.rdi, said);
    position->rip = said.handler;
    position->rsp = start + SYSLOAD_INTERLUDE_SIZE;
    context.r12_to_rax[kRdi] = interlude.rdi;
    context.r12_to_rax[kRsi] = interlude.rsi;
    context.r12_to_rax[kRdx] = interlude.rdx;
    position->rax = 0;
    return start;
  }
  if (marked.kind == SYSLOAD_IS_SIGRETURN) {
    position->rax = __NR_rt_sigreturn;
    to_be_made(interlude.what, start + SYSLOAD_INTERLUDE_SIZE, position);
    return start;
  }
  auto& action = *Memory::at<ActionInterlude>({start});
  if (context.rip == address(sysload_action_issued)) {
    action.result = context.r12_to_rax[kRax];
    action.is_made = 1;
  } else if (context.rip == address(sysload_action_kept)) {
    action.is_made = 1;
  }
  context.r12_to_rax[kRdi] = interlude.rdi;
  context.r12_to_rax[kRsi] = interlude.rsi;
  context.r12_to_rax[kRdx] = interlude.rdx;
  context.r10 = action.r10;
  context.r8 = action.r8;
  context.r9 = action.r9;
  context.r12_to_rax[kRbx] = action.rbx;
  context.r12_to_rax[kRbp] = action.rbp;
  for (size_t i = 0; i < 4; ++i) context.r12_to_rax[kR12 + i] = action.r12_to_r15[i];
  position->flags = action.flags;
  if (action.is_made == 0) {
    position->rax = __NR_rt_sigaction;
    to_be_made(interlude.what, start + SYSLOAD_ACTION_SIZE, position);
    return start;
  }
  finish_action(action);
  position->rax = action.result;
  position->r11 = action.flags;
  is_made(interlude.what, start + SYSLOAD_ACTION_SIZE + SYSREWRITE_RED_ZONE, position);
  return start;
}

bool is_in_sysload(uint64_t rip) {
  constexpr uint64_t kRestorerSize = 9;
  return is_between(rip, __ehdr_start, etext) && rip - address(sysload_restorer) >= kRestorerSize;
}

void settle(Log& log, KernelUcontext& context) {
  Position position{context.rip,
                    context.rsp,
                    context.rcx,
                    context.r11,
                    context.r12_to_rax[kRax],
                    context.flags_register,
                    false};
  uint64_t interlude = 0;
  const uint64_t rip = context.rip;
  if (!leave_callback(context, &position) && !leave_serving(context, &position) &&
      !leave_handler(log, context, &position) && !leave_sigreturn(context, &position) &&
      !leave_action(context, &position)) {
    if (!is_in_sysload(rip)) {
      leave_any_stub(&position);
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
  set(log, context, position, interlude);
}

// --- Poison --------------------------------------------------------------------------------------

// The signal does what it would without sysload: what is a fault happens again; int3, and what was
// sent, is sent once more, and strikes when the frame gives the mask back.
void act_by_default(const Interlude& wrapper, uint64_t handler) {
  const auto signal = static_cast<int>(wrapper.rdi);
  const auto& info = *Memory::at<KernelSiginfo>({wrapper.rsi});
  const bool is_queued = info.code <= 0;
  if (is_queued && handler == kSigIgnore) return;
  const KernelSigaction by_default{kSigDefault, 0, 0, 0};
  set_action(signal, &by_default, nullptr);
  if (signal != kSigTrap && !is_queued) return;
  const uint64_t mask = uint64_t{1} << (signal - 1);
  sys::call(__NR_rt_sigprocmask, kSigBlock, Memory::address_of(&mask).value, 0,
            SYSLOAD_SIGSET_SIZE);
  send_to_self(signal, info);
}

}  // namespace

// The handler to run; 0: the signal is done with.
extern "C" [[gnu::used, gnu::visibility("hidden")]] uint64_t sysload_on_handler(
    Interlude* wrapper) {
  apply(wrapper->log);
  decide_on_own(*wrapper);
  if (wrapper->what == kBack) return 0;
  settle(wrapper->log, *Memory::at<KernelUcontext>({wrapper->rdx}));
  const KernelSigaction said = said_by(wrapper->what);
  if (said.handler != kSigDefault && said.handler != kSigIgnore) {
    reset_if_asked(wrapper->rdi, said);
    return said.handler;
  }
  act_by_default(*wrapper, said.handler);
  return 0;
}

extern "C" [[gnu::used, gnu::visibility("hidden")]] void sysload_on_sigreturn(
    KernelUcontext* context) {
  context->rip = enter_any_stub({context->rip}).value;
}

namespace {

// The kernel alone can tell whether an address may be read, and does without changing anything
// where the signal's number is none. What lies on the stack need not be asked for.
bool can_be_read(const ActionInterlude& action) {
  constexpr uint64_t kNear = uint64_t{64} * 1024;
  const uint64_t from_here = action.common.rsi - Memory::address_of(&action).value;
  if (from_here < kNear) return true;
  return sys::call(__NR_rt_sigaction, 0, action.common.rsi, 0, SYSLOAD_SIGSET_SIZE) != -EFAULT;
}

// The action that the kernel is to be given; false: the program's own.
bool replace_action(uint64_t signal, KernelSigaction* given) {
  const bool is_handled = given->handler != kSigDefault && given->handler != kSigIgnore;
  if (!is_watched(signal)) {
    const uint64_t index = is_handled ? thunk_for(given->handler) : kNoThunk;
    if (index == kNoThunk) return false;
    given->handler = address_of_thunk(index);
    return true;
  }
  // What is ignored stays ignored in what the program executes; only what cannot run without
  // sysload's handler has to have it.
  if (given->handler == kSigIgnore && !sysload_state.handlers.has_lone_poison) return false;
  const uint64_t thunk = address_of_thunk(thunk_for_said(signal, as_kept(*given)));
  if (is_handled) {
    given->handler = thunk;
    given->flags = (given->flags | kSigInfo) & ~kSigResetHand;
  } else {
    // Nothing else strikes meanwhile, so nobody is shown the wrapper of a trap as what was struck.
    *given = {thunk, kOwnFlags, address(sysload_restorer), kEverySignal};
  }
  return true;
}

// The kernel has written the old action, with a thunk in it.
void finish_action(const ActionInterlude& action) {
  if (action.result != 0 || action.common.rdx == 0) return;
  auto& old = *Memory::at<KernelSigaction>({action.common.rdx});
  if (!is_thunk(old.handler)) return;
  const uint64_t index = index_of_thunk(old.handler);
  const KernelSigaction said = said_by(index);
  if (has_said_all(index))
    old = said;
  else
    old.handler = said.handler;
}

}  // namespace

// The address of the action that the kernel is to be given.
extern "C" [[gnu::used, gnu::visibility("hidden")]] uint64_t sysload_before_action(
    ActionInterlude* action) {
  const uint64_t signal = action->common.rdi & UINT32_MAX, wanted = action->common.rsi;
  if (wanted == 0 || action->r10 != SYSLOAD_SIGSET_SIZE || signal == 0 || signal > kMostSignals ||
      signal == kSigKill || signal == kSigStop || !can_be_read(*action))
    return wanted;
  action->given = *Memory::at<KernelSigaction>({wanted});
  const bool is_replaced = replace_action(signal, &action->given);
  return is_replaced ? Memory::address_of(&action->given).value : wanted;
}

extern "C" [[gnu::used, gnu::visibility("hidden")]] void sysload_after_action(
    ActionInterlude* action) {
  finish_action(*action);
}

void watch_signals() {
  start_handler_table();
  sysload_state.handlers.has_lone_poison = has_lone_poison();
  for (const int signal : {kSigTrap, kSigSegv, kSigBus}) {
    if (!is_watched(static_cast<uint64_t>(signal))) continue;
    KernelSigaction ours{};
    int64_t answer = set_action(signal, nullptr, &ours);
    if (!sys::failed(answer) && replace_action(static_cast<uint64_t>(signal), &ours))
      answer = set_action(signal, &ours, nullptr);
    if (sys::failed(answer))
      fail_errno(answer, "trap", "cannot handle signal ", static_cast<uint64_t>(signal));
  }
}

void leave_runtime(KernelUcontext* context) {
  Log log{};
  settle(log, *context);
}

SlotPage slot_page(uint64_t callback) {
  return {callback, address(sysload_action), address(sysload_sigreturn)};
}

}  // namespace sysrewrite
