#include "loader/thread_block.h"

#include <asm/unistd.h>
#include <linux/errno.h>

#include <cstring>

#include "loader/engine/foreign_threads.h"
#include "loader/engine/hook_output.h"
#include "loader/process_lock.h"
#include "loader/report.h"
#include "loader/signals/alternate_stack.h"
#include "loader/state.h"

// The list of free blocks: a thread that ends pushes its own with nothing but registers
// (hook_entry.S), since it still stands on the stack that it gives away. Takers hold a lock, so
// there is one at a time, and what it sees at the head can only have been pushed since, never taken
// and pushed again (ABA).

namespace sysrewrite {

namespace {

constexpr uint64_t kRegion =
    kBlockGuard + kBlockStack + kBlockSize + SYSLOAD_CALL_MEMORY + kFaultStack;

constexpr uint64_t kMark = -uint64_t{SYSLOAD_MINUS_MARK};

// Source: linux, arch/x86/include/uapi/asm/prctl.h.
constexpr uint64_t kArchGetGs = 0x1004;

ThreadBlock* new_block() {
  const int64_t start = sys::map_anonymous(0, kRegion, sys::kNoAccess);
  if (sys::failed(start)) return nullptr;
  const RuntimeAddr usable = {static_cast<uint64_t>(start) + kBlockGuard};
  if (sys::failed(sys::protect(usable, kRegion - kBlockGuard, sys::kRead | sys::kWrite))) {
    sys::unmap({static_cast<uint64_t>(start)}, kRegion);
    return nullptr;
  }
  auto* block = Memory::at<ThreadBlock>(usable + kBlockStack);
  block->self = block;
  block->mark = kMark;
  block->stack = (usable + kBlockStack).value;
  block->all_next = sysload_state.all_blocks;
  const uint64_t at = block->stack;
  State& state = sysload_state;
  if (state.all_blocks == nullptr || at < state.blocks_low) state.blocks_low = at;
  if (at > state.blocks_high) state.blocks_high = at;
  state.all_blocks = block;
  return block;
}

// What is not left over from the thread before. The vectors' area is as good as new.
void clear(ThreadBlock* block) {
  ThreadBlock* const all_next = block->all_next;
  const uint64_t stack = block->stack;
  KeptCall* const kept = block->kept;
  memset(block, 0, offsetof(ThreadBlock, own_signals));
  block->self = block;
  block->mark = kMark;
  block->stack = stack;
  block->kept = kept;
  block->all_next = all_next;
}

}  // namespace

ThreadBlock* take_block() {
  const ProcessLock lock(Guarded::kBlocks);
  ThreadBlock* head = __atomic_load_n(&sysload_state.free_blocks, __ATOMIC_ACQUIRE);
  while (head != nullptr &&
         !__atomic_compare_exchange_n(&sysload_state.free_blocks, &head, head->next, false,
                                      __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) {
  }
  if (head == nullptr) return new_block();
  clear(head);
  return head;
}

void give_back(ThreadBlock* block) {
  block->tid = 0;
  ThreadBlock* head = __atomic_load_n(&sysload_state.free_blocks, __ATOMIC_RELAXED);
  do {
    block->next = head;
  } while (!__atomic_compare_exchange_n(&sysload_state.free_blocks, &head, block, false,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

void give_back_all_but(ThreadBlock* own) {
  sysload_state.free_blocks = nullptr;
  for (ThreadBlock* block = sysload_state.all_blocks; block != nullptr; block = block->all_next)
    if (block != own) give_back(block);
}

uint32_t give_back_of_the_dead() {
  const ProcessLock lock(Guarded::kBlocks);
  uint32_t living = 0;
  for (ThreadBlock* block = sysload_state.all_blocks; block != nullptr; block = block->all_next) {
    const uint32_t tid = __atomic_load_n(&block->tid, __ATOMIC_RELAXED);
    // Whoever waits for a child of vfork gives its block back.
    const bool is_awaited = block->is_child_of_vfork && !block->is_foreign;
    if (tid == 0 || is_awaited) continue;
    // Not tgkill: a child that shares this memory need not be of this process.
    if (sys::call(__NR_tkill, tid, 0) != -ESRCH) {
      ++living;
      continue;
    }
    forget_thread(block);
    if (!block->is_child_of_vfork) __atomic_fetch_sub(&sysload_state.threads, 1, __ATOMIC_RELAXED);
    give_back(block);
  }
  return living;
}

bool has_alternate_stack(const ThreadBlock& block) {
  return block.mark != kMark;
}

void set_has_alternate_stack(ThreadBlock* block, bool has) {
  block->mark = kMark + (has ? 1 : 0);
}

void name_thread(ThreadBlock* block) {
  block->tid = sys::tid();
  show_first_hook(block);
}

namespace {

uint64_t gs_base() {
  uint64_t base = 0;
  if (sysload_state.writes_gs != 0)
    asm volatile("rdgsbase %0" : "=r"(base));
  else
    sys::call(__NR_arch_prctl, kArchGetGs, Memory::address_of(&base).value);
  return base;
}

}  // namespace

bool has_lost_block() {
  const uint64_t base = gs_base();
  if (base < sysload_state.blocks_low || base > sysload_state.blocks_high) return true;
  const auto& block = *Memory::at<ThreadBlock>({base});
  return Memory::address_of(block.self).value != base || block.mark - kMark > 1;
}

// From a call, which has found out (serve.S).
extern "C" [[gnu::used, gnu::visibility("hidden")]] void sysload_end_lost() {
  refuse_gs_base();
}

void refuse_gs_base() {
  fail("hooks",
       "the program sets the gs base, by which its threads are known to hooks, to --exhaustive,"
       " and where sites are of tier D: run it without");
}

// By an instruction where there is one: a filter of the program's need not allow it anything.
void set_own_block(ThreadBlock* block) {
  const uint64_t base = Memory::address_of(block).value;
  if (sysload_state.writes_gs != 0) {
    asm volatile("wrgsbase %0" : : "r"(base) : "memory");
    return;
  }
  const int64_t answer = sys::call(__NR_arch_prctl, SYSLOAD_ARCH_SET_GS, base);
  if (sys::failed(answer)) fail_errno(answer, "hooks", "cannot set the gs base");
}

ThreadBlock* start_first_block() {
  ThreadBlock* const block = take_block();
  if (block == nullptr) fail("hooks", "no memory for the stack that they run on");
  set_own_block(block);
  note_process();
  name_thread(block);
  offer_fault_stack(block);
  block->signals = &sysload_state.hooks->signals;
  return block;
}

}  // namespace sysrewrite
