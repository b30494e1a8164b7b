#include "loader/start/placement.h"

#include <asm/unistd.h>
#include <linux/auxvec.h>
#include <linux/personality.h>

#include <cstring>

#include "loader/memory.h"
#include "loader/syscalls.h"

// The kernel puts a position-independent program with an interpreter at two thirds of the address
// space, plus up to 2^28 pages, and the heap behind its last segment, plus up to 2^13 pages; with
// randomization off, exactly there. A program that sysload starts as a command is put in the same
// places, so that addresses read as native and the heap has as much room as ever.
//
// The heap that execve chose is sysload's own, and where that is depends on the kernel: before
// 6.10 or so behind sysload, later where a position-independent program lies. It is moved by
// PR_SET_MM_MAP (publish.cc). Where the kernel does not know that call, brk does not grow, and the
// program's malloc takes mmap instead.
//
// Source: linux, arch/x86/include/asm/elf.h, ELF_ET_DYN_BASE; fs/binfmt_elf.c; arch/x86/mm/mmap.c,
// arch_mmap_rnd(); arch/x86/kernel/process.c, arch_randomize_brk().

namespace sysrewrite {

namespace {

constexpr uint64_t kImageBase = 0x555555554000;
constexpr uint64_t kImagePages = uint64_t{1} << 28;
constexpr uint64_t kHeapPages = uint64_t{1} << 13;
constexpr uint64_t kQueryPersonality = 0xffffffff;

bool is_randomized() {
  const int64_t personality = sys::call(__NR_personality, kQueryPersonality);
  return sys::failed(personality) || (personality & ADDR_NO_RANDOMIZE) == 0;
}

// A few bits of the kernel's 16 random bytes, through a one-way mix: the bytes themselves will be
// the program's stack guard, which its addresses must not give away.
// Source of the mix: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014).
uint64_t random_bits(const StackView& stack) {
  const uint64_t address = stack.auxiliary_or(AT_RANDOM, 0);
  if (address == 0) return 0;
  uint64_t words[2];
  memcpy(words, Memory::at<const std::byte>({address}), sizeof(words));
  uint64_t mix = words[0] ^ (words[1] << 32 | words[1] >> 32);
  mix = (mix ^ mix >> 30) * 0xbf58476d1ce4e5b9;
  mix = (mix ^ mix >> 27) * 0x94d049bb133111eb;
  return mix ^ mix >> 31;
}

}  // namespace

Placement choose_placement(const StackView& stack) {
  if (!is_randomized()) return {kImageBase, 0};
  const uint64_t random = random_bits(stack);
  return {kImageBase + random % kImagePages * kPageSize, (random >> 32) % kHeapPages * kPageSize};
}

uint64_t heap_start(const ProgramFile& program, const ElfImage& image, const MappedImage& mapped,
                    const Placement& placement) {
  RuntimeAddr end = mapped.at(image.high());
  const Trailer& trailer = program.rewritten().trailer();
  const RuntimeAddr trampoline = mapped.at({trailer.vaddr});
  if (trailer.size != 0 && trampoline >= end) end = trampoline + trailer.size;
  return end.value + placement.heap_gap;
}

void mend_for_command(StackView& stack, const ElfImage& image, const MappedImage& mapped,
                      const char* path) {
  elf::Phdr segment{};
  Vaddr table{};
  const uint64_t size = image.header_count() * sizeof(elf::Phdr);
  const bool is_mapped = image.vaddr_of({image.header_offset()}, size, &segment, &table);
  stack.set_auxiliary(AT_PHDR, is_mapped ? mapped.at(table).value : 0);
  stack.set_auxiliary(AT_PHENT, sizeof(elf::Phdr));
  stack.set_auxiliary(AT_PHNUM, image.header_count());
  stack.set_auxiliary(AT_ENTRY, mapped.at(image.entry()).value);
  stack.set_auxiliary(AT_EXECFN, Memory::address_of(path).value);
}

}  // namespace sysrewrite
