#include "rewriter/verify_placement.h"

#include <fmt/format.h>

#include <algorithm>

namespace sysrewrite {

namespace {

constexpr uint64_t kLowestMappable = 65536;  // vm.mmap_min_addr as distributions set it
constexpr uint64_t kBehindHeapStart = 0x50000000;

// Addresses of whole pages; `to` is exclusive.
struct Pages {
  uint64_t from, to;
};

Pages pages_of(const elf::Phdr& load) {
  return {align_down(load.vaddr, kPageSize),
          align_down(load.vaddr + load.memsz - 1, kPageSize) + kPageSize};
}

bool is_clear(const Pages& trampoline, const OriginalImage& original) {
  const uint64_t last = trampoline.to - 1;  // what ends at 2^64 ends at 0
  return last >= trampoline.from &&
         std::all_of(original.loads().begin(), original.loads().end(), [&](const elf::Phdr& load) {
           const Pages segment = pages_of(load);
           return last < segment.from || trampoline.from >= segment.to;
         });
}

bool is_in_place(const Pages& trampoline, const OriginalImage& original, bool litebox) {
  const auto& loads = original.loads();
  const uint64_t first = pages_of(loads.front()).from, last = pages_of(loads.back()).to;
  if (litebox || !original.is_program()) return trampoline.from == last;
  if (original.position_independent()) return trampoline.to == first || trampoline.to == 0;
  if (trampoline.from < kLowestMappable) return false;
  return trampoline.from == last + kBehindHeapStart ||
         std::any_of(loads.begin(), loads.end(),
                     [&](const elf::Phdr& load) { return trampoline.to == pages_of(load).from; });
}

}  // namespace

void verify_placement(const RewrittenFile& file, const OriginalImage& original,
                      Findings& findings) {
  const Trailer& trailer = file.trailer();
  if (trailer.size == 0 || original.loads().empty()) return;
  const Pages trampoline{trailer.vaddr, trailer.vaddr + trailer.size};
  if (!is_clear(trampoline, original))
    findings.at_address({trailer.vaddr}, "the trampoline's address",
                        fmt::format("{:#x} bytes that the program needs", trailer.size),
                        "addresses that no segment has");
  else if (!file.is_segment() && !is_in_place(trampoline, original, file.is_litebox()))
    findings.at_address(
        {trailer.vaddr}, "the trampoline's address",
        fmt::format("{:#x} bytes where something else may come to lie, as a heap", trailer.size),
        "the place for a file of its kind");
}

}  // namespace sysrewrite
