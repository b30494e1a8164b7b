#include "loader/signals/alternate_stack.h"

#include <asm/unistd.h>

#include <cstring>

#include "loader/serve/program_memory.h"
#include "loader/state.h"

namespace sysrewrite {

namespace {

// Source: linux, include/uapi/asm-generic/signal.h, stack_t.
struct KernelStack {
  uint64_t low;
  int32_t flags, padding;
  uint64_t size;
};

RuntimeAddr fault_stack_of(const ThreadBlock& block) {
  return Memory::address_of(&block) + kBlockSize + SYSLOAD_CALL_MEMORY;
}

}  // namespace

void distrust_stacks(ThreadBlock* block) {
  block->alt_low = 0;
  block->alt_size = ~uint64_t{0};
  set_has_alternate_stack(block, true);
}

void offer_fault_stack(ThreadBlock* block) {
  block->has_fault_stack = false;
  if (sysload_state.has_native_files) return distrust_stacks(block);
  const KernelStack stack{fault_stack_of(*block).value, 0, 0, kFaultStack};
  block->has_fault_stack =
      !sys::failed(sys::call(__NR_sigaltstack, Memory::address_of(&stack).value, 0));
}

void withdraw_fault_stack(ThreadBlock* block) {
  const KernelStack none{0, kStackDisabled, 0, 0};
  KernelStack now{};
  // Native code may have set another one since.
  sys::call(__NR_sigaltstack, 0, Memory::address_of(&now).value);
  if (is_on_fault_stack(*block, now.low))
    sys::call(__NR_sigaltstack, Memory::address_of(&none).value, 0);
  block->has_fault_stack = false;
}

void hide_fault_stack(const ThreadBlock& block, KernelUcontext* context) {
  const KernelStack none{0, block.no_stack_flags, 0, 0};
  KernelStack shown{};
  memcpy(&shown, &context->stack, sizeof(shown));
  // Or it was taken away a moment ago; another one was set by native code.
  const bool is_none = !has_alternate_stack(block) && (shown.flags & kStackDisabled) != 0;
  if (is_on_fault_stack(block, shown.low) || is_none) memcpy(&context->stack, &none, sizeof(none));
}

// The kernel takes the stack from the frame, but where rsp is on the one that the thread has.
void give_back_alternate_stack(ThreadBlock* block, uint64_t frame) {
  constexpr uint64_t kLeast = 2048;  // MINSIGSTKSZ: the kernel refuses less, and changes nothing
  const uint64_t at = frame + offsetof(KernelUcontext, stack);
  KernelStack stack{};
  if (read_program(at, Memory::bytes(Memory::address_of(&stack), sizeof(stack))) != sizeof(stack))
    return;  // the kernel ends the program
  const bool is_none = (stack.flags & kStackDisabled) != 0;
  if (sysload_state.has_native_files) {
    if (is_none) block->has_fault_stack = false;
    return;
  }
  const bool is_known = has_alternate_stack(*block) && !is_none && stack.low == block->alt_low &&
                        stack.size == block->alt_size;
  const bool is_in_use = has_alternate_stack(*block) && frame - block->alt_low < block->alt_size;
  if (is_known || is_in_use || (!is_none && stack.size < kLeast)) return;
  set_has_alternate_stack(block, !is_none);
  block->alt_low = stack.low;
  block->alt_size = stack.size;
  block->has_fault_stack = is_none;
  if (!is_none) return;
  block->no_stack_flags = stack.flags;
  const KernelStack ours{fault_stack_of(*block).value, 0, 0, kFaultStack};
  write_program(at, as_byte_view(&ours, sizeof(ours)));
}

bool is_on_fault_stack(const ThreadBlock& block, uint64_t address) {
  return address - fault_stack_of(block).value < kFaultStack;
}

void learn_alternate_stack(ThreadBlock* block) {
  if (sysload_state.has_native_files) return distrust_stacks(block);
  KernelStack stack{};
  if (sys::failed(sys::call(__NR_sigaltstack, 0, Memory::address_of(&stack).value))) return;
  if (is_on_fault_stack(*block, stack.low)) return;
  block->alt_low = stack.low;
  block->alt_size = stack.size;
  const bool has = (stack.flags & kStackDisabled) == 0;
  set_has_alternate_stack(block, has);
  if (!has) offer_fault_stack(block);
}

}  // namespace sysrewrite
