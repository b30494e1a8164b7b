#include "loader/start/lost_trailer.h"

#include <algorithm>

#include "loader/memory.h"
#include "loader/report.h"
#include "trampoline/bytes.h"
#include "trampoline/elf_types.h"
#include "trampoline/layout.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kMostRead = uint64_t{1} << 20;  // bytes of code
constexpr uint64_t kJumpSize = 5;
constexpr uint64_t kMostFiller = 10;  // bytes between a jump and its window's poison

// The lowest byte of eight that is `wanted`, counted from 0, or 8: without vector registers.
uint64_t index_of(uint64_t eight, uint8_t wanted) {
  constexpr uint64_t kOnes = 0x0101010101010101, kHigh = 0x8080808080808080;
  const uint64_t zero_where_wanted = eight ^ (kOnes * wanted);
  const uint64_t found = (zero_where_wanted - kOnes) & ~zero_where_wanted & kHigh;
  return found == 0 ? 8 : static_cast<uint64_t>(__builtin_ctzll(found)) / 8;
}

class LostTrailerCheck {
 public:
  explicit LostTrailerCheck(ByteView file) : file_(file) {
    const auto header = load<elf::Ehdr>(file, 0);
    if (!header || header->phentsize != sizeof(elf::Phdr)) return;
    header_ = *header;
    uint64_t end = 0;
    for (uint32_t i = 0; i < header_.phnum; ++i) {
      const elf::Phdr segment = program_header(i);
      if (segment.type == elf::kPtLoad) end = std::max(end, segment.vaddr + segment.memsz);
    }
    first_stubs_ = align_up(end, kPageSize) + kPageSize;
  }

  bool found() const {
    for (uint32_t i = 0; i < header_.phnum; ++i) {
      const elf::Phdr segment = program_header(i);
      if (segment.type != elf::kPtLoad || (segment.flags & elf::kFlagExec) == 0) continue;
      const auto code = slice(file_, segment.offset, std::min(segment.filesz, kMostRead));
      if (code && found_in(*code, segment.vaddr)) return true;
    }
    return false;
  }

 private:
  elf::Phdr program_header(uint32_t index) const {
    const auto at = checked_add(header_.phoff, index * sizeof(elf::Phdr));
    return at ? load<elf::Phdr>(file_, *at).value_or(elf::Phdr{}) : elf::Phdr{};
  }

  bool found_in(ByteView code, uint64_t vaddr) const {
    for (uint64_t at = 0; const auto eight = load<uint64_t>(code, at);) {
      const uint64_t index = index_of(*eight, kPoison[0]);
      at += index;
      if (index == 8) continue;
      const bool poison = at + 1 < code.size() && code[at + 1] == std::byte{kPoison[1]};
      if (poison && leads_to_first_stubs(code, vaddr, at)) return true;
      ++at;
    }
    return false;
  }

  bool leads_to_first_stubs(ByteView code, uint64_t vaddr, uint64_t poison) const {
    for (uint64_t size = kJumpSize; size <= std::min(poison, kJumpSize + kMostFiller); ++size) {
      const uint64_t at = poison - size;
      if (code[at] != std::byte{0xe9}) continue;
      const int64_t distance = *load<int32_t>(code, at + 1);
      const uint64_t target = vaddr + at + kJumpSize + static_cast<uint64_t>(distance);
      if (target - first_stubs_ < kPageSize) return true;
    }
    return false;
  }

  ByteView file_;
  elf::Ehdr header_{};
  uint64_t first_stubs_ = 0;
};

}  // namespace

bool has_lost_trailer(sys::Fd library) {
  const int64_t size = sys::size_of_regular_file(library);
  if (sys::failed(size) || size == 0) return false;
  const auto bytes = static_cast<uint64_t>(size);
  const int64_t view = sys::map_file(bytes, sys::kRead, library, {0});
  if (sys::failed(view)) return false;
  const RuntimeAddr start = {static_cast<uint64_t>(view)};
  const bool found = LostTrailerCheck(Memory::view(start, bytes)).found();
  sys::unmap(start, bytes);
  return found;
}

void fail_without_trailer(const char* path) {
  fail("trailer", path,
       ": the trailer is gone (strip, objcopy, or a truncated or concatenated file);"
       " strip before rewriting, and rewrite again");
}

}  // namespace sysrewrite
