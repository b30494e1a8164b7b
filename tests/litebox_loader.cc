#include "tests/litebox_loader.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>

namespace sysrewrite::test {

namespace {

struct Header {
  char magic[8];
  uint64_t file_offset;
  uint64_t vaddr;
  uint64_t size;
};
static_assert(sizeof(Header) == 32);

constexpr uint64_t kPage = 4096;

uint64_t page_down(uint64_t value) {
  return value & ~(kPage - 1);
}
uint64_t page_up(uint64_t value) {
  return page_down(value + kPage - 1);
}

std::vector<elf::Phdr> loads_of(const Bytes& file) {
  const auto ehdr = *load<elf::Ehdr>(file, 0);
  std::vector<elf::Phdr> loads;
  for (uint64_t i = 0; i < ehdr.phnum; ++i) {
    const auto phdr = load<elf::Phdr>(file, ehdr.phoff + i * sizeof(elf::Phdr));
    if (phdr && phdr->type == elf::kPtLoad) loads.push_back(*phdr);
  }
  return loads;
}

// An address of this process, as the loader has it.
std::byte* at(uint64_t address) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast,performance-no-int-to-ptr)
  return static_cast<std::byte*>(reinterpret_cast<void*>(address));
}

// Copies instead of mapping the file: the test's file may only be in memory.
void put(uint64_t address, const Bytes& file, uint64_t offset, uint64_t size) {
  std::copy_n(file.begin() + static_cast<std::ptrdiff_t>(offset), size, at(address));
}

}  // namespace

LiteboxVerdict LiteboxImage::check(const Bytes& file) {
  const auto ehdr = load<elf::Ehdr>(file, 0);
  if (!ehdr || std::memcmp(ehdr->ident, elf::kMagic, 4) != 0 || ehdr->ident[4] != elf::kClass64)
    return LiteboxVerdict::kBadFormat;
  if (ehdr->type != elf::kTypeExec && ehdr->type != elf::kTypeDyn)
    return LiteboxVerdict::kUnsupportedType;
  if (ehdr->machine != elf::kMachineX8664) return LiteboxVerdict::kUnsupportedType;
  if (ehdr->phentsize != sizeof(elf::Phdr)) return LiteboxVerdict::kBadFormat;
  const uint32_t table = uint32_t{ehdr->phnum} * ehdr->phentsize;
  if (table > 0xffff || !range_fits(ehdr->phoff, table, file.size()))
    return LiteboxVerdict::kBadFormat;
  if (file.size() < sizeof(Header)) return LiteboxVerdict::kUnpatched;
  const uint64_t header_offset = file.size() - sizeof(Header);
  const auto header = *load<Header>(file, header_offset);
  if (std::memcmp(header.magic, "LITEBOX", 7) != 0) return LiteboxVerdict::kUnpatched;
  if (header.magic[7] != '0') return LiteboxVerdict::kBadVersion;
  if (header.size == 0) return LiteboxVerdict::kNothingToDo;
  if (header.file_offset % 4096 != 0) return LiteboxVerdict::kBadTrampoline;
  if (header.vaddr % kPage != 0) return LiteboxVerdict::kBadTrampoline;
  if (header.file_offset + header.size != header_offset) return LiteboxVerdict::kBadTrampoline;
  const auto end = checked_add(header.vaddr, header.size);
  if (!end || !checked_align_up(*end, kPage)) return LiteboxVerdict::kBadTrampoline;
  return LiteboxVerdict::kPatched;
}

LiteboxImage::LiteboxImage(const Bytes& file, uint64_t callback) {
  const auto header = *load<Header>(file, file.size() - sizeof(Header));
  uint64_t low = header.vaddr, high = header.vaddr + header.size;
  const std::vector<elf::Phdr> loads = loads_of(file);
  for (const elf::Phdr& phdr : loads) {
    low = std::min(low, phdr.vaddr);
    high = std::max(high, phdr.vaddr + phdr.memsz);
  }
  low = page_down(low);
  const bool fixed = load<elf::Ehdr>(file, 0)->type == elf::kTypeExec;
  void* const wanted = fixed ? at(low) : nullptr;
  void* got = mmap(wanted, page_up(high) - low, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | (fixed ? MAP_FIXED_NOREPLACE : 0), -1, 0);
  EXPECT_NE(got, MAP_FAILED);
  if (got == MAP_FAILED) return;
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
  start_ = reinterpret_cast<uint64_t>(got);
  span_ = page_up(high) - low;
  base_ = start_ - low;
  const auto protect = [](uint64_t from, uint64_t to, int protection) {
    EXPECT_EQ(mprotect(at(page_down(from)), page_up(to) - page_down(from), protection), 0);
  };
  for (const elf::Phdr& phdr : loads) put(base_ + phdr.vaddr, file, phdr.offset, phdr.filesz);
  put(base_ + header.vaddr, file, header.file_offset, header.size);
  std::memcpy(at(base_ + header.vaddr), &callback, sizeof(callback));
  for (const elf::Phdr& phdr : loads)
    if ((phdr.flags & elf::kFlagExec) != 0)
      protect(base_ + phdr.vaddr, base_ + phdr.vaddr + phdr.memsz, PROT_READ | PROT_EXEC);
  protect(base_ + header.vaddr, base_ + header.vaddr + header.size, PROT_READ | PROT_EXEC);
}

LiteboxImage::~LiteboxImage() {
  if (span_ != 0) munmap(at(start_), span_);
}

}  // namespace sysrewrite::test
