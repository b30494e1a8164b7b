#include "loader/signals/kept_calls.h"

#include <cstring>

#include "loader/memory.h"
#include "loader/report.h"
#include "loader/syscalls.h"

namespace sysrewrite {

namespace {

constexpr uint32_t kMostKeptCalls = 16;

struct Part {
  size_t offset, size;
};

constexpr size_t from_to(size_t first, size_t end) {
  return end - first;
}

// Of a block, what belongs to its call. The rest is its thread's.
constexpr Part kParts[] = {
    {offsetof(ThreadBlock, rsp), sizeof(ThreadBlock::rsp)},
    {offsetof(ThreadBlock, child),
     from_to(offsetof(ThreadBlock, child), offsetof(ThreadBlock, next))},
    {offsetof(ThreadBlock, call), sizeof(ThreadBlock::call)},
    {offsetof(ThreadBlock, interest),
     from_to(offsetof(ThreadBlock, interest), offsetof(ThreadBlock, hook_exit))},
    {offsetof(ThreadBlock, under_way),
     from_to(offsetof(ThreadBlock, under_way), offsetof(ThreadBlock, watched))},
    {offsetof(ThreadBlock, lends), sizeof(ThreadBlock::lends)},
    {offsetof(ThreadBlock, looks), sizeof(ThreadBlock::looks)},
    {offsetof(ThreadBlock, awaits), sizeof(ThreadBlock::awaits)},
    {offsetof(ThreadBlock, awaited_info), sizeof(ThreadBlock::awaited_info)},
    {offsetof(ThreadBlock, asked_info), sizeof(ThreadBlock::asked_info)},
    {offsetof(ThreadBlock, scratch), sizeof(ThreadBlock::scratch)},
};

constexpr size_t size_of_parts() {
  size_t size = 0;
  for (const Part& part : kParts) size += part.size;
  return size;
}

std::byte* memory_of_call(ThreadBlock* block) {
  return Memory::at<std::byte>(Memory::address_of(block) + kBlockSize);
}

}  // namespace

struct KeptCall {
  std::byte parts[size_of_parts()];
  std::byte memory[SYSLOAD_CALL_MEMORY];  // of which the call has used the first bytes
};

namespace {

KeptCall* room_for_one(ThreadBlock* block) {
  if (block->kept == nullptr) {
    const int64_t memory =
        sys::map_anonymous(0, kMostKeptCalls * sizeof(KeptCall), sys::kRead | sys::kWrite);
    if (sys::failed(memory))
      fail_errno(memory, "hooks", "no memory for a call that a handler has interrupted");
    block->kept = Memory::at<KeptCall>({static_cast<uint64_t>(memory)});
  }
  if (block->kept_count == kMostKeptCalls) {
    --block->kept_count;
    memmove(block->kept, block->kept + 1, block->kept_count * sizeof(KeptCall));
  }
  return &block->kept[block->kept_count++];
}

}  // namespace

// From hook_check.S: another call is about to be entered.
extern "C" [[gnu::used, gnu::visibility("hidden")]] void sysload_keep_call(ThreadBlock* block) {
  KeptCall* const kept = room_for_one(block);
  const std::byte* const from = Memory::at<std::byte>(Memory::address_of(block));
  std::byte* into = kept->parts;
  for (const Part& part : kParts) {
    memcpy(into, from + part.offset, part.size);
    into += part.size;
  }
  memcpy(kept->memory, memory_of_call(block), block->call_memory_used);
  block->under_way = 0;
  block->lends = false;
  block->looks = false;
  block->awaits = 0;
}

void end_kept_call(ThreadBlock* block) {
  block->under_way = 0;
  if (block->kept_count == 0) return;
  const KeptCall& kept = block->kept[--block->kept_count];
  std::byte* const into = Memory::at<std::byte>(Memory::address_of(block));
  const std::byte* from = kept.parts;
  for (const Part& part : kParts) {
    memcpy(into + part.offset, from, part.size);
    from += part.size;
  }
  memcpy(memory_of_call(block), kept.memory, block->call_memory_used);
}

uint64_t put_on_stack(const ThreadBlock& block) {
  const uint64_t at = block.rsp - sizeof(Leaving);
  *Memory::at<Leaving>({at}) = {block.flags,         block.mask,          block.registers.rdi,
                                block.registers.rsi, block.registers.rdx, block.registers.r10,
                                block.registers.r8,  block.registers.r9,  block.leave_rax,
                                block.leave_r11,     block.leave_rcx,     block.leave_rsp};
  return at;
}

}  // namespace sysrewrite
