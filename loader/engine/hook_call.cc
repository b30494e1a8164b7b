#include "loader/engine/hook_call.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>

#include <cstring>

#include "loader/engine/exhaustive.h"
#include "loader/engine/foreign_threads.h"
#include "loader/engine/hook_output.h"
#include "loader/engine/hook_set.h"
#include "loader/memory.h"
#include "loader/process_lock.h"
#include "loader/report.h"
#include "loader/serve/door.h"
#include "loader/serve/follow.h"
#include "loader/serve/leaving.h"
#include "loader/serve/own_exe.h"
#include "loader/serve/program_memory.h"
#include "loader/serve/serve.h"
#include "loader/signals/aimed_signals.h"
#include "loader/signals/alternate_stack.h"
#include "loader/signals/dispositions.h"
#include "loader/signals/held_signals.h"
#include "loader/signals/kept_calls.h"
#include "loader/signals/pending_view.h"
#include "loader/signals/places.h"
#include "loader/signals/position.h"
#include "loader/signals/program_mask.h"
#include "loader/signals/put_off.h"
#include "loader/signals/signal_frame.h"
#include "loader/signals/signals.h"
#include "loader/state.h"

// The way of a call:
//
//   entry of each hook      may change or answer it
//   sysload's own services  what changes code, threads, handlers, or the program's view of them
//   the kernel              through the stub's tail, where nobody wants to see the end and nothing
//                           was changed: what the kernel then sees is the program's own call
//   exit of each hook       the call was made by hook_entry.S, with the program's rsp
//
// Legal here: C++ on the hook stack. Signals may come at any time, and are put off.

namespace sysrewrite {

namespace {

// Source: linux, include/uapi/linux/sched.h, arch/x86/include/uapi/asm/prctl.h.
constexpr uint64_t kCloneVm = 0x100, kCloneSighand = 0x800, kCloneVfork = 0x4000,
                   kCloneThread = 0x10000, kCloneClearSighand = uint64_t{1} << 32;
constexpr uint64_t kArchSetGs = 0x1001, kArchGetGs = 0x1004;

extern "C" [[gnu::visibility("hidden")]] const std::byte sysload_hook_load[];
extern "C" [[gnu::visibility("hidden")]] uint64_t sysload_serve(CallFrame* call);
extern "C" [[gnu::visibility("hidden")]] int64_t sysload_arm();

uint64_t resume_of(const ThreadBlock& block) {
  return block.tail - SYSREWRITE_TAIL_FROM_RESUME;
}

void leave_answered(ThreadBlock* block, uint64_t result) {
  block->leave_rax = result;
  block->leave_r11 = block->flags;
  block->leave_rsp = block->rsp + SYSREWRITE_RED_ZONE;
  block->leave_rcx = resume_of(*block);
}

// The kernel sees the call's arguments; the program gets its own back afterwards.
void leave_issuing(ThreadBlock* block) {
  block->leave_rsp = block->rsp + SYSREWRITE_RED_ZONE;
  block->leave_rcx = Memory::address_of(sysload_hook_load).value;
}

void leave_through_tail(ThreadBlock* block) {
  // There only sysload may issue calls.
  if (sysload_state.exhaustive) return leave_issuing(block);
  block->leave_rax = block->registers.rax;
  block->leave_r11 = block->tail;
  block->leave_rsp = block->rsp;
  block->leave_rcx = block->tail;
}

bool is_issuing(const ThreadBlock& block) {
  return block.leave_rcx == Memory::address_of(sysload_hook_load).value;
}

bool is_changed(const ThreadBlock& block) {
  const CallRegisters& program = block.registers;
  const sysload_call& call = block.call;
  return call.number != static_cast<uint32_t>(program.rax) || call.argument[0] != program.rdi ||
         call.argument[1] != program.rsi || call.argument[2] != program.rdx ||
         call.argument[3] != program.r10 || call.argument[4] != program.r8 ||
         call.argument[5] != program.r9;
}

void answer(ThreadBlock* block, int64_t result) {
  block->call.result = result;
  if (block->exits != 0) run_exits(block);
  leave_answered(block, static_cast<uint64_t>(block->call.result));
}

// --- sysload's own services -------------------------------------------------------------------

// Where a call is served that may change what is mapped, as serve.S does it: one at a time.
bool serve_mapping(ThreadBlock* block, int64_t* result) {
  sysload_call& call = block->call;
  keep_signals_away(block);
  CallFrame frame{};
  frame.rax = call.number;
  frame.rdi = call.argument[0];
  frame.rsi = call.argument[1];
  frame.rdx = call.argument[2];
  frame.r10 = call.argument[3];
  frame.r8 = call.argument[4];
  frame.r9 = call.argument[5];
  frame.tail = block->tail;
  frame.mask = block->mask;
  const ProcessLock lock(Guarded::kServing);
  const bool answered = sysload_serve(&frame) != 0;
  *result = static_cast<int64_t>(frame.rax);
  return answered;
}

uint64_t clone_flags(const sysload_call& call) {
  switch (call.number) {
    case __NR_vfork:
      return kCloneVm | kCloneVfork;
    case __NR_clone:
      return call.argument[0];
    case __NR_clone3:
      return flags_of_clone3(call.argument[0]);
    default:
      return 0;
  }
}

// What a child inherits that shares this memory.
void prepare_child(const ThreadBlock& parent, uint64_t flags, ThreadBlock* child) {
  child->registers = parent.registers;
  child->flags = parent.flags;
  child->tail = parent.tail;
  child->mask = parent.mask;
  child->masked = parent.masked;
  child->trap = parent.trap;
  child->trap_error = parent.trap_error;
  child->call = parent.call;
  child->is_child_of_vfork = (flags & kCloneVfork) != 0;
  child->clears_handlers = parent.clears_handlers;
  // Source: linux, kernel/fork.c, copy_process(): sas_ss_reset().
  child->no_stack_flags = kStackDisabled;
  if ((flags & (kCloneVm | kCloneVfork)) != kCloneVm) {
    child->no_stack_flags = parent.no_stack_flags;
    child->mark = parent.mark;
    child->alt_low = parent.alt_low;
    child->alt_size = parent.alt_size;
  }
  child->signals = parent.signals;
  if ((flags & kCloneSighand) != 0) return;
  child->own_signals = *parent.signals;
  child->signals = &child->own_signals;
}

uint64_t begin_clone(ThreadBlock* block) {
  const uint64_t flags = clone_flags(block->call);
  keep_signals_away(block);
  if (leaves_network(flags)) {
    const ProcessLock lock(Guarded::kServing);
    open_door();
  }
  block->clears_handlers = block->call.number == __NR_clone3 && (flags & kCloneClearSighand) != 0;
  ThreadBlock* child = nullptr;
  if ((flags & kCloneVm) != 0) {
    child = take_block();
    if (child == nullptr) {
      answer(block, -EAGAIN);
      return SYSLOAD_HOOK_LEAVE;
    }
    prepare_child(*block, flags, child);
  } else {
    expect_fork();
  }
  block->child = child;
  block->shares_thread_group = (flags & kCloneThread) != 0;
  if (block->shares_thread_group) __atomic_fetch_add(&sysload_state.threads, 1, __ATOMIC_RELAXED);
  leave_issuing(block);
  return SYSLOAD_HOOK_CLONE;
}

void finish_process(ThreadBlock* block) {
  notify_finishing(block, static_cast<int>(block->call.argument[0]));
  tell_of_lost_output();
  if (sysload_state.exhaustive && sys::pid() == sysload_state.hooks->first_pid) print_caught();
}

uint64_t end_thread(ThreadBlock* block) {
  leave_through_tail(block);
  if (block->is_child_of_vfork) {  // its parent gives the block back
    forget_thread(block);
    return SYSLOAD_HOOK_LEAVE;
  }
  keep_signals_away(block);
  notify_thread_exiting(block);
  if (__atomic_fetch_sub(&sysload_state.threads, 1, __ATOMIC_RELAXED) == 1) finish_process(block);
  forget_thread(block);
  return SYSLOAD_HOOK_EXIT;
}

// From here, and not from the stub's tail: a handler that strikes on the way there begins the call
// again, hooks and all, and a timer that strikes more often than they take would keep the process
// from ending. What has been put off strikes no more, as if the call had been just before it.
[[noreturn]] void end_process(ThreadBlock* block) {
  if (!block->is_child_of_vfork) finish_process(block);
  forget_thread(block);
  // All of them: tracers see what the kernel does not look at.
  const uint64_t(&argument)[6] = block->call.argument;
  for (;;)
    sys::call(__NR_exit_group, argument[0], argument[1], argument[2], argument[3], argument[4],
              argument[5]);
}

bool serve_arch_prctl(ThreadBlock* block, int64_t* result) {
  const sysload_call& call = block->call;
  if (call.argument[0] == kArchSetGs) refuse_gs_base();
  if (call.argument[0] != kArchGetGs) return false;
  const uint64_t none = 0;
  *result = write_program(call.argument[1], as_byte_view(&none, sizeof(none)));
  return true;
}

// Whether it asks for seccomp to do this, by either call.
bool sets_seccomp(const sysload_call& call, uint32_t operation, uint64_t mode) {
  const auto what = static_cast<uint32_t>(call.argument[0]);
  if (call.number == __NR_seccomp) return what == operation;
  return what == PR_SET_SECCOMP && call.argument[1] == mode;
}

// The kernel refuses strict mode with flags or an argument, which is how libseccomp asks whether
// there is that call.
bool only_asks_for_strict_mode(const sysload_call& call) {
  return call.number == __NR_seccomp &&
         (static_cast<uint32_t>(call.argument[1]) != 0 || call.argument[2] != 0);
}

// Nothing that sysload could do instead of strict mode: it needs calls of its own at each clone,
// each exit, and where a signal has come.
void look_at_seccomp(const sysload_call& call) {
  if (sets_seccomp(call, SECCOMP_SET_MODE_STRICT, SECCOMP_MODE_STRICT) &&
      !only_asks_for_strict_mode(call))
    note("hooks",
         "the program enters strict seccomp mode, which kills it for calls of sysload's own");
  if (sets_seccomp(call, SECCOMP_SET_MODE_FILTER, SECCOMP_MODE_FILTER))
    sysload_state.has_filter = true;
}

// Syscall User Dispatch would catch the calls that sysload makes itself, too, while all signals are
// blocked; and a thread has it once, for --exhaustive. So the program finds a kernel without it.
bool serve_prctl(ThreadBlock* block, int64_t* result) {
  constexpr uint64_t kOff = 0;
  const uint64_t(&argument)[6] = block->call.argument;
  look_at_seccomp(block->call);
  if (static_cast<uint32_t>(argument[0]) != SYSLOAD_PR_SET_SYSCALL_USER_DISPATCH) return false;
  const bool turns_off =
      argument[1] == kOff && argument[2] == 0 && argument[3] == 0 && argument[4] == 0;
  *result = turns_off ? 0 : -EINVAL;
  if (argument[1] != kOff)
    note("hooks",
         "the program asks for Syscall User Dispatch, which it cannot have under hooks, with"
         " --exhaustive, or where sites are of tier D: it is told EINVAL");
  return true;
}

// The frame of a handler may name a call that is to be made again.
void resume_in_stub(uint64_t frame) {
  const uint64_t at = frame + offsetof(KernelUcontext, rip);
  RuntimeAddr rip;
  if (read_program(at, Memory::bytes(Memory::address_of(&rip), sizeof(rip))) != sizeof(rip)) return;
  const RuntimeAddr resumed = enter_any_stub(rip);
  if (resumed != rip) write_program(at, as_byte_view(&resumed, sizeof(resumed)));
}

// Whether the call is about to make code of which no library knows, and which may make threads.
bool makes_code(const sysload_call& call) {
  constexpr uint64_t kShmExec = 0100000;  // Source: linux, include/uapi/linux/shm.h
  const uint64_t what = call.argument[2], flags = call.argument[3];
  switch (call.number) {
    case __NR_mmap: {
      const bool is_looked_at = (flags & MAP_ANONYMOUS) == 0 && (flags & MAP_TYPE) == MAP_PRIVATE;
      return (what & PROT_EXEC) != 0 && !is_looked_at;  // by serve.cc
    }
    case __NR_mprotect:
    case __NR_pkey_mprotect:
      return (what & PROT_EXEC) != 0;
    case __NR_shmat:
      return (what & kShmExec) != 0;
    default:
      return false;
  }
}

void expect_threads_of_new_code(ThreadBlock* block) {
  keep_signals_away(block);
  const ProcessLock lock(Guarded::kServing);
  expect_foreign_threads();
}

// Does what only sysload can do. True: the call has its answer in `*result`.
bool serve_by_answer(ThreadBlock* block, int64_t* result) {
  const sysload_call& call = block->call;
  switch (call.number) {
    case __NR_rt_sigaction:
      *result = serve_sigaction(block, call.argument[0], call.argument[1], call.argument[2],
                                call.argument[3]);
      return true;
    case __NR_rt_sigreturn:
      resume_in_stub(block->rsp + SYSREWRITE_RED_ZONE);
      take_apart_frame_mask(block, block->rsp + SYSREWRITE_RED_ZONE);
      give_back_alternate_stack(block, block->rsp + SYSREWRITE_RED_ZONE);
      return false;
    case __NR_arch_prctl:
      return serve_arch_prctl(block, result);
    case __NR_prctl:
      return serve_prctl(block, result);
    case __NR_seccomp:
      look_at_seccomp(call);
      return false;
    case __NR_tkill:
    case __NR_tgkill:
    case __NR_rt_tgsigqueueinfo:
      return send_to_thread(block, result);
    case __NR_exit_group:
      end_process(block);
    case __NR_sigaltstack:
      // The program is to see its own, or none.
      if (block->has_fault_stack) withdraw_fault_stack(block);
      return false;
    default:
      if (may_be_served(call.number)) return serve_mapping(block, result);
      return serve_own_exe(call.number, call.argument, result);
  }
}

bool is_clone(uint64_t number) {
  return number == __NR_clone || number == __NR_clone3 || number == __NR_fork ||
         number == __NR_vfork;
}

// It does not return, and finds its frame by rsp.
bool must_take_tail(uint64_t number) {
  return number == __NR_rt_sigreturn;
}

// It may take one whose siginfo the block has.
bool may_recall(const ThreadBlock& block, uint64_t number) {
  return number == __NR_rt_sigtimedwait && block.put_off.front().signo != 0;
}

// Out of the way of the calls that sysload has nothing to do with.
[[gnu::noinline, gnu::cold]] uint64_t serve(ThreadBlock* block) {
  const uint64_t number = block->call.number;
  if (is_clone(number)) return begin_clone(block);
  if (number == __NR_exit) return end_thread(block);
  const bool needs = !must_take_tail(number) && needs_mask(*block, number);
  if (needs) lend_mask(block);
  if (is_exec(number)) ignore_for_exec(*block);
  if (!sysload_state.expects_foreign_threads && makes_code(block->call))
    expect_threads_of_new_code(block);
  int64_t result = 0;
  if (serve_by_answer(block, &result)) {
    if (is_exec(number)) watch_after_exec(*block);
    if (needs) take_mask_back(block);
    answer(block, result);
  } else if (!must_take_tail(number) &&
             (needs || block->exits != 0 || is_changed(*block) || number == __NR_sigaltstack ||
              may_recall(*block, number))) {
    leave_issuing(block);
  } else {
    leave_through_tail(block);
  }
  return SYSLOAD_HOOK_LEAVE;
}

// After the hooks.
uint64_t make_call(ThreadBlock* block) {
  keep_lower_half(&block->call);
  const uint8_t interest = interest_in(sysload_state.interest, block->call.number);
  if ((interest & kWantsService) != 0) return serve(block);
  if (block->exits != 0 || is_changed(*block)) {
    leave_issuing(block);
  } else {
    leave_through_tail(block);
  }
  return SYSLOAD_HOOK_LEAVE;
}

}  // namespace

// What hook_entry.S does by itself ends here where the one hook has answered, or has seen the end
// while a signal came,
extern "C" [[gnu::used, gnu::visibility("hidden")]] void sysload_hook_answered(ThreadBlock* block) {
  leave_answered(block, static_cast<uint64_t>(block->call.result));
}

// has changed the call, which may now be another one,
extern "C" [[gnu::used, gnu::visibility("hidden")]] uint64_t sysload_hook_changed(
    ThreadBlock* block) {
  block->exits = 0;
  block->asked = 0;
  return make_call(block);
}

extern "C" [[gnu::used, gnu::visibility("hidden")]] uint64_t sysload_hook_changed_with_exit(
    ThreadBlock* block) {
  block->exits = 1;
  block->asked = 1;
  return make_call(block);
}

// or has let one pass while a signal came.
extern "C" [[gnu::used, gnu::visibility("hidden")]] void sysload_hook_passed(ThreadBlock* block) {
  leave_through_tail(block);
}

// What hook_entry.S does next; how to leave stands in the block. `number` is the program's rax.
extern "C" [[gnu::used, gnu::visibility("hidden")]] uint64_t sysload_hook_enter(ThreadBlock* block,
                                                                                uint64_t number) {
  const uint8_t interest = interest_in(sysload_state.interest, number);
  // Offered before a native file was mapped.
  if (block->has_fault_stack && sysload_state.has_native_files) withdraw_fault_stack(block);
  block->exits = 0;
  block->asked = 0;
  if ((interest & (kWantsEntry | kWantsExit)) != 0) {
    block->call_memory_used = 0;
    block->call.stack_pointer = block->rsp + SYSREWRITE_RED_ZONE;
    if (run_entries(block, interest)) {
      answer(block, block->call.result);
      return SYSLOAD_HOOK_LEAVE;
    }
  }
  return make_call(block);
}

void finish_call(ThreadBlock* block) {
  if (block->call.number == __NR_sigaltstack) {
    learn_alternate_stack(block);
    const bool was_set = block->call.argument[0] != 0 && block->result == 0;
    if (was_set) block->no_stack_flags = kStackDisabled;
  }
  if (is_exec(block->call.number)) watch_after_exec(*block);
  const auto result = static_cast<int64_t>(block->result);
  if (block->call.number == __NR_rt_sigtimedwait) recall_awaited(block, result);
  answer(block, result);
}

extern "C" [[gnu::used, gnu::visibility("hidden")]] void sysload_hook_exit(ThreadBlock* block) {
  if (block->call.number == __NR_rt_sigtimedwait) take_what_was_awaited(block);
  const bool is_made_again = was_woken_in_vain(*block) || !take_what_was_read(block);
  if (block->steps) keep_signals_away(block);
  if (block->lends) {
    keep_what_is_shown(block);
    take_mask_back(block);
  }
  if (is_made_again) return undo_call(block);
  finish_call(block);
}

void undo_call(ThreadBlock* block) {
  take_info_back(block);
  answer(block, SYSLOAD_RESTARTED);
  block->leave_rax = block->registers.rax;
  block->leave_rcx = restart_of_call({block->tail}).value;
}

// The parent's side. The child, if there is one, has a block of its own.
extern "C" [[gnu::used, gnu::visibility("hidden")]] void sysload_hook_cloned(ThreadBlock* block) {
  const auto result = static_cast<int64_t>(block->result);
  const bool is_over =
      sys::failed(result) || (block->child != nullptr && block->child->is_child_of_vfork);
  if (block->child != nullptr && is_over) give_back(block->child);
  if (block->shares_thread_group && sys::failed(result))
    __atomic_fetch_sub(&sysload_state.threads, 1, __ATOMIC_RELAXED);
  if (block->child == nullptr && sys::failed(result)) finish_fork();
  block->child = nullptr;
  finish_call(block);
}

void begin_thread(ThreadBlock* block) {
  name_thread(block);
  watch_thread(block);
  notify_thread_started(block);
}

void begin_process(ThreadBlock* block) {
  note_process();
  name_thread(block);
  block->child = nullptr;
  block->is_child_of_vfork = false;
  block->is_foreign = false;
  forget_held_signals(block);
  forget_all_put_off(block);
  sysload_state.threads = 1;
  give_back_all_but(block);
  watch_thread(block);
  forget_lost_output();
  notify_forked(block);
}

// The child's side, in the block that its parent has made for it: a thread, or a child of vfork.
extern "C" [[gnu::used, gnu::visibility("hidden")]] void sysload_hook_started(ThreadBlock* block) {
  block->pending = SYSLOAD_PENDING_BLOCKED;
  if (block->clears_handlers) clear_handlers(*block);
  if (sysload_state.exhaustive) sysload_arm();
  if (!has_alternate_stack(*block)) offer_fault_stack(block);
  begin_thread(block);
  leave_answered(block, 0);
}

// The child's side, where it has memory of its own, in its copy of the parent's block.
extern "C" [[gnu::used, gnu::visibility("hidden")]] void sysload_hook_forked(ThreadBlock* block) {
  if (block->clears_handlers) clear_handlers(*block);
  if (sysload_state.exhaustive) sysload_arm();
  begin_process(block);
  finish_fork();
  leave_answered(block, 0);
}

// With the way to leave in the block, and all signals blocked. Where any handler may run, all of it
// lies on the program's stack afterwards, at the address that is returned; else 0.
extern "C" [[gnu::used, gnu::visibility("hidden")]] uint64_t sysload_hook_settle(
    ThreadBlock* block) {
  const bool strikes = (block->pending & SYSLOAD_PENDING_SIGNAL) != 0;
  // The handler is to run before a call that may wait, not after it.
  const bool is_undone = strikes && is_issuing(*block) && block->call.number != __NR_rt_sigreturn;
  if (is_undone && block->lends) split_mask(block);
  block->pending = 0;
  if (is_undone) undo_call(block);
  // Behind a call it is C++ that looks.
  if (block->steps && is_issuing(*block)) block->interest &= ~uint64_t{SYSLOAD_INTEREST_SIMPLE};
  if (!is_issuing(*block)) go_on_stepping(block);
  if (!sysload_state.has_native_files) return 0;
  const uint64_t at = put_on_stack(*block);
  if (is_issuing(*block))
    block->under_way = 1;
  else
    end_kept_call(block);
  return at;
}

}  // namespace sysrewrite
