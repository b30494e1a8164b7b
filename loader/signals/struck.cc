#include "loader/signals/struck.h"

#include <asm/unistd.h>
#include <linux/errno.h>

#include <array>

#include "loader/engine/hook_call.h"
#include "loader/label.h"
#include "loader/signals/kept_calls.h"
#include "loader/signals/pending_view.h"
#include "loader/signals/program_mask.h"
#include "loader/signals/signals.h"
#include "loader/state.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kRestorerSize = 9;

// Addresses of hook_entry.S.
extern "C" [[gnu::visibility("hidden")]] const std::byte sysload_hook_entered[],
    sysload_hook_on_alternate[], sysload_hook_alternate[], sysload_hook_alternate_saved[],
    sysload_hook_alternate_flags[], sysload_hook_alternate_blocked[], sysload_hook_leave[],
    sysload_hook_leave_end[], sysload_hook_leave_slowly[], sysload_hook_left[], sysload_hook_pass[],
    sysload_hook_pass_end[], sysload_hook_pass_slowly[], sysload_hook_passed_on[],
    sysload_hook_to_issue[], sysload_hook_to_issue_end[], sysload_hook_end[],
    sysload_hook_end_end[], sysload_hook_end_slowly[], sysload_hook_ending[], sysload_hook_ended[],
    sysload_hook_load[], sysload_hook_to_load[], sysload_hook_issue[], sysload_hook_issued[],
    sysload_hook_issued_saved[], sysload_hook_issued_switched[], sysload_hook_issued_alternate[],
    sysload_hook_issued_end[], sysload_hook_unblocked[], sysload_hook_unblocked_end[],
    sysload_signal_entry[], sysload_signal_back[], sysload_signal_raised[],
    sysload_signal_handled[], sysload_signal_unblocked[], sysload_signal_end[],
    sysload_callback_checked_end[], sysload_check_saved[], sysload_check_loaded[],
    sysload_check_exit_saved[], sysload_check_exit_loaded[], sysload_guard_saved[],
    sysload_callback_guarded_end[], sysload_hook_stacked[], sysload_hook_stack_left[],
    sysload_serve_entry[], sysload_serve_answered[], etext[];
// Of exhaustive.S.
extern "C" [[gnu::visibility("hidden")]] const std::byte sysload_i386_call[], sysload_i386_end[];

// Everything is the program's, but rip, which is in rcx.
bool is_left(uint64_t rip) {
  return rip == address(sysload_hook_left) || rip == address(sysload_hook_passed_on) ||
         rip == address(sysload_hook_ended) || rip == address(sysload_hook_stack_left);
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
  return is_between(rip, sysload_callback_checked, sysload_callback_checked_end) ||
         is_between(rip, sysload_callback_guarded, sysload_callback_guarded_end);
}

bool is_at_i386_call(uint64_t rip) {
  return is_between(rip, sysload_i386_call, sysload_i386_end);
}

// The call is made again, and caught again, or it is made.
void leave_i386_call(const ThreadBlock& block, KernelUcontext& context) {
  constexpr uint64_t kInstruction = 2;
  const bool is_made = context.rip != address(sysload_i386_call);
  context.rip = block.i386_return - (is_made ? 0 : kInstruction);
}

// sysload's own code where it stands between the program and the runtime: rsp is the program's.
bool is_between_program_and_runtime(uint64_t rip) {
  return is_between(rip, sysload_callback_hook, sysload_hook_entered) ||
         is_between(rip, sysload_hook_alternate, sysload_hook_alternate_blocked) ||
         is_between(rip, sysload_hook_unblocked, sysload_hook_unblocked_end) ||
         is_between(rip, sysload_hook_stacked, sysload_hook_stack_left) ||
         is_between(rip, sysload_signal_back, sysload_signal_end) || is_checked(rip) ||
         is_between(rip, sysload_serve_entry, sysload_serve_answered + 1) || is_left(rip) ||
         is_to_be_made(rip) || is_done(rip) || rip == address(sysload_hook_ending) ||
         is_at_i386_call(rip) || rip - address(sysload_restorer) < kRestorerSize;
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
  const bool is_guarded = is_between(rip, sysload_callback_guarded, sysload_callback_guarded_end);
  const std::byte* const callback =
      is_guarded ? sysload_callback_guarded : sysload_callback_checked;
  if (is_between(rip, sysload_guard_saved, sysload_callback_guarded_end)) {
    const auto& saved = *Memory::at<std::array<uint64_t, 6>>({context.rsp - 48});
    context.r10 = saved[0];
    context.r12_to_rax[kRdx] = saved[1];
    context.r12_to_rax[kRsi] = saved[2];
    context.r12_to_rax[kRdi] = saved[3];
    context.r12_to_rax[kRax] = saved[4];
    context.r11 = saved[5];
  } else if (is_between(rip, sysload_check_saved, sysload_check_loaded)) {
    const auto& saved = *Memory::at<std::array<uint64_t, 2>>({context.rsp - 16});
    context.r12_to_rax[kRax] = saved[0];
    context.r11 = saved[1];
  } else if (is_between(rip, sysload_check_exit_saved, sysload_check_exit_loaded)) {
    context.r12_to_rax[kRax] = __NR_exit;
    context.r11 = context.r10;
  }
  if (rip == address(callback)) return;
  context.rip = address(callback);
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

// The same, where it lies on the program's stack. rsp has passed the flags.
void finish_leaving_by_stack(KernelUcontext& context) {
  const auto& leaving = *Memory::at<Leaving>({context.rsp - offsetof(Leaving, mask)});
  context.r12_to_rax[kRax] = leaving.rax;
  context.r12_to_rax[kRdi] = leaving.rdi;
  context.r12_to_rax[kRsi] = leaving.rsi;
  context.r12_to_rax[kRdx] = leaving.rdx;
  context.r10 = leaving.r10;
  context.r8 = leaving.r8;
  context.r9 = leaving.r9;
  context.r11 = leaving.r11;
  context.rip = context.rcx = leaving.rcx;
  context.rsp = leaving.rsp;
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

}  // namespace

bool is_in_sysload(uint64_t rip) {
  return is_between(rip, __ehdr_start, etext);
}

bool is_in_runtime(const ThreadBlock& block, const KernelUcontext& context) {
  return is_on_hook_stack(block, context.rsp) ||
         (is_in_sysload(context.rip) && !is_between_program_and_runtime(context.rip));
}

bool is_at_handler(uint64_t rip) {
  return rip == address(sysload_signal_entry);
}

bool is_on_the_way_in(uint64_t rip) {
  return is_between(rip, sysload_callback_hook, sysload_hook_entered) ||
         is_between(rip, sysload_hook_alternate, sysload_hook_on_alternate);
}

bool is_on_the_way_out(uint64_t rip) {
  return rip == address(sysload_hook_unblocked) || rip == address(sysload_hook_stacked);
}

bool is_behind_call(uint64_t rip) {
  return rip == address(sysload_hook_issued);
}

void leave_slowly(KernelUcontext* context) {
  const uint64_t struck = context->rip;
  if (is_between(struck, sysload_hook_leave, sysload_hook_leave_end) ||
      is_between(struck, sysload_hook_to_issue, sysload_hook_to_issue_end))
    context->rip = address(sysload_hook_leave_slowly);
  if (is_between(struck, sysload_hook_pass, sysload_hook_pass_end))
    context->rip = address(sysload_hook_pass_slowly);
  if (is_between(struck, sysload_hook_end, sysload_hook_end_end))
    context->rip = address(sysload_hook_end_slowly);
  // The program's flags may be there already, and are once more behind the C++ that runs first.
  if (context->rip != struck) context->flags_register &= ~uint64_t{SYSLOAD_ODD_FLAGS};
}

void mend(ThreadBlock& block, KernelUcontext& context) {
  if (is_between(context.rip, sysload_callback_hook, sysload_hook_entered) ||
      is_between(context.rip, sysload_hook_alternate, sysload_hook_alternate_blocked))
    return begin_again(block, context);
  if (is_checked(context.rip)) return begin_check_again(context);
  if (is_at_i386_call(context.rip)) return leave_i386_call(block, context);
  if (is_between(context.rip, sysload_hook_unblocked, sysload_hook_unblocked_end))
    finish_leaving(block, context);
  if (is_between(context.rip, sysload_hook_stacked, sysload_hook_stack_left))
    finish_leaving_by_stack(context);
  if (context.rip == address(sysload_hook_ending)) {
    context.rsp += SYSREWRITE_RED_ZONE;
    context.rip = context.rcx;
  }
  if (is_left(context.rip)) context.rip = context.rcx;
  start_handler(context);
  end_resumed_call(block, context);
  bool is_undone = is_to_be_made(context.rip);
  if (!is_undone && !is_done(context.rip)) return;
  uint64_t mask = 0;
  block_signals(&mask);
  const bool is_saved = !is_between(context.rip, sysload_hook_issued, sysload_hook_issued_saved);
  if (!is_undone && !is_saved) block.result = context.r12_to_rax[kRax];
  // Woken in vain, it was interrupted by the handler that is to run.
  if (!is_undone) take_what_was_awaited(&block);
  if (!is_undone) is_undone = !take_what_was_read(&block);
  sysload_call_on_hook_stack(is_undone ? &undo_call : &finish_call, &block);
  finish_leaving(block, context);
  end_kept_call(&block);
  set_signals(mask);
}

}  // namespace sysrewrite
