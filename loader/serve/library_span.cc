#include "loader/serve/library_span.h"

#include <asm/unistd.h>

#include <algorithm>
#include <cstring>

#include "loader/memory.h"
#include "trampoline/elf_types.h"
#include "trampoline/layout.h"

namespace sysrewrite {

namespace {

class SegmentSpan {
 public:
  void add(const elf::Phdr& header) {
    if (header.type != elf::kPtLoad) return;
    low_ = std::min(low_, align_down(header.vaddr, kPageSize));
    high_ = std::max(high_, header.vaddr + header.memsz);
    has_code_ |= (header.flags & elf::kFlagExec) != 0;
  }

  bool is(uint64_t size) const {
    return low_ < high_ && align_up(high_ - low_, kPageSize) == align_up(size, kPageSize);
  }
  bool has_code() const { return has_code_; }

 private:
  uint64_t low_ = UINT64_MAX, high_ = 0;
  bool has_code_ = false;
};

template <typename T>
bool read_at(sys::Fd fd, uint64_t offset, T* into) {
  const int64_t got = sys::call(__NR_pread64, static_cast<uint64_t>(fd),
                                Memory::address_of(into).value, sizeof(T), offset);
  return got == sizeof(T);
}

bool is_shared_object(const elf::Ehdr& header) {
  return memcmp(header.ident, elf::kMagic, sizeof(elf::kMagic)) == 0 &&
         header.ident[4] == elf::kClass64 && header.machine == elf::kMachineX8664 &&
         header.type == elf::kTypeDyn && header.phentsize == sizeof(elf::Phdr);
}

}  // namespace

bool spans_segments(ByteView bytes, uint64_t size) {
  const auto header = load<elf::Ehdr>(bytes, 0);
  if (!header || header->phentsize != sizeof(elf::Phdr)) return false;
  SegmentSpan span;
  for (uint64_t i = 0; i < header->phnum; ++i) {
    const auto segment = load<elf::Phdr>(bytes, header->phoff + i * sizeof(elf::Phdr));
    if (!segment) return false;
    span.add(*segment);
  }
  return span.is(size);
}

bool is_mapped_library(sys::Fd fd, uint64_t size) {
  elf::Ehdr header{};
  if (!read_at(fd, 0, &header) || !is_shared_object(header)) return false;
  SegmentSpan span;
  for (uint64_t i = 0; i < header.phnum; ++i) {
    elf::Phdr segment{};
    if (!read_at(fd, header.phoff + i * sizeof(elf::Phdr), &segment)) return false;
    span.add(segment);
  }
  return span.has_code() && span.is(size);
}

}  // namespace sysrewrite
