#include "loader/engine/foreign_threads.h"

#include <asm/unistd.h>
#include <linux/kcmp.h>

#include "loader/engine/hook_call.h"
#include "loader/process_lock.h"
#include "loader/report.h"
#include "loader/signals/alternate_stack.h"
#include "loader/signals/places.h"
#include "loader/signals/signals.h"
#include "loader/start/slot_page.h"
#include "loader/state.h"
#include "loader/thread_block.h"

namespace sysrewrite {

namespace {

constexpr char kPhase[] = "hooks";

// Adoptions beyond as many as there are threads, before blocks are looked for again.
constexpr uint32_t kMoreAdoptions = 16;

void fill_slots(RuntimeAddr callback) {
  sysload_state.callback = callback.value;
  SiteTables& tables = sysload_state.site_tables;
  for (uint32_t i = 0; i < tables.count; ++i) {
    const SiteTable& table = tables.all()[i];
    if (table.count == 0) continue;
    const RuntimeAddr slot = table.trampoline;
    int64_t answer = sys::protect(slot, kPageSize, sys::kRead | sys::kWrite);
    if (!sys::failed(answer)) {
      __atomic_store_n(&Memory::at<SlotPage>(slot)->callback, callback.value, __ATOMIC_RELEASE);
      answer = sys::protect(slot, kPageSize, sys::kRead);
    }
    if (sys::failed(answer)) fail_errno(answer, kPhase, "cannot fill a slot again");
  }
}

uint32_t& fork_mark() {
  return sysload_serve_lock[kForkMark];
}

bool owns_block() {
  return own_block()->tid == sys::tid();
}

// Of the signals that are open (program_mask.h), the kernel has what native code has blocked, and
// the block what rewritten code has.
void open_mask(ThreadBlock* block, uint64_t inherited, uint64_t* mask) {
  const uint64_t open = sysload_state.open_signals;
  block->masked = inherited | (*mask & open);
  *mask &= ~open;
}

// Where the kernel does not say, a child of another process has handlers of its own, as one of
// vfork.
bool shares_handlers(bool is_thread) {
  return is_thread || sys::call(__NR_kcmp, sys::pid(), sysload_state.pid, KCMP_SIGHAND) == 0;
}

void inherit_handlers(ThreadBlock* block, const ThreadBlock& inherited, bool is_thread) {
  // Whoever had the block may have ended.
  SignalTable* const table =
      inherited.signals != nullptr ? inherited.signals : &sysload_state.hooks->signals;
  block->signals = table;
  if (shares_handlers(is_thread)) return;
  block->own_signals = *table;
  block->signals = &block->own_signals;
}

void look_for_the_dead() {
  if (__atomic_fetch_sub(&sysload_state.adoptions_left, 1, __ATOMIC_RELAXED) != 0) return;
  const uint32_t living = give_back_of_the_dead();
  __atomic_store_n(&sysload_state.adoptions_left, living + kMoreAdoptions, __ATOMIC_RELAXED);
}

void adopt_thread(const ThreadBlock& inherited, uint64_t* mask) {
  const bool is_thread = sys::pid() == sysload_state.pid;
  // Another process may have other numbers for the threads of this one.
  if (is_thread) look_for_the_dead();
  ThreadBlock* const block = take_block();
  if (block == nullptr) fail(kPhase, "no memory for the stack of a thread that began natively");
  inherit_handlers(block, inherited, is_thread);
  block->is_foreign = true;
  block->is_child_of_vfork = !is_thread;
  // Source: linux, kernel/fork.c, copy_process(): sas_ss_reset(), but for vfork.
  block->no_stack_flags = is_thread ? kStackDisabled : inherited.no_stack_flags;
  open_mask(block, inherited.masked, mask);
  set_own_block(block);
  if (is_thread) __atomic_fetch_add(&sysload_state.threads, 1, __ATOMIC_RELAXED);
  sysload_call_on_hook_stack(
      [](ThreadBlock* own) {
        learn_alternate_stack(own);
        begin_thread(own);
      },
      block);
  // A child of vfork has that of its parent.
  if (is_on_fault_stack(inherited, block->alt_low)) set_has_alternate_stack(block, false);
}

// The block may be that of a thread which was in the midst of a call, and is not there any more.
void adopt_process(ThreadBlock* block, uint64_t* mask) {
  block->pending = 0;
  block->running = 0;
  block->lends = false;
  block->looks = false;
  block->awaits = 0;
  block->steps = false;
  open_mask(block, block->masked, mask);
  sysload_call_on_hook_stack(
      [](ThreadBlock* own) {
        learn_alternate_stack(own);
        begin_process(own);
      },
      block);
}

// The mask is the thread's; all signals are blocked.
void adopt(uint64_t* mask) {
  if (has_lost_block()) refuse_gs_base();
  ThreadBlock* const inherited = own_block();
  if (__atomic_load_n(&fork_mark(), __ATOMIC_RELAXED) == 0) return adopt_process(inherited, mask);
  adopt_thread(*inherited, mask);
}

}  // namespace

void expect_foreign_threads() {
  State& state = sysload_state;
  if (!state.has_engine || state.exhaustive || state.expects_foreign_threads) return;
  state.expects_foreign_threads = true;
  fill_slots(Memory::address_of(sysload_callback_checked));
}

void expect_native_file() {
  State& state = sysload_state;
  // With --exhaustive native calls are caught.
  if (!state.has_engine || state.exhaustive || state.has_native_files) return;
  state.has_native_files = true;
  state.expects_foreign_threads = true;
  for (ThreadBlock* block = state.all_blocks; block != nullptr; block = block->all_next)
    distrust_stacks(block);
  fill_slots(Memory::address_of(sysload_callback_guarded));
}

void note_process() {
  sysload_state.pid = sys::pid();
  __atomic_store_n(&fork_mark(), 1, __ATOMIC_RELAXED);
}

void adopt_caller(CallFrame* call) {
  adopt(&call->mask);
  const RuntimeAddr restart = restart_of_call({call->tail});
  // serve.S goes on at resume, and for once that is where the call is made.
  call->tail = restart.value + SYSREWRITE_TAIL_FROM_RESUME;
}

void adopt_struck(KernelUcontext* context) {
  if (owns_block()) return;
  uint64_t mask = 0;
  block_signals(&mask);
  // Another signal may have struck this code.
  if (!owns_block()) adopt(&context->mask);
  set_signals(mask);
}

}  // namespace sysrewrite
