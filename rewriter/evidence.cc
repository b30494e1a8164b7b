#include "rewriter/evidence.h"

#include "rewriter/relocations.h"

namespace sysrewrite {

namespace {

void sort_unique(std::vector<uint64_t>& list) {
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

void append(std::vector<uint64_t>& list, const std::vector<uint64_t>& more) {
  list.insert(list.end(), more.begin(), more.end());
  sort_unique(list);
}

}  // namespace

bool Evidence::any_in(const std::vector<uint64_t>& list, Vaddr from, Vaddr to) {
  const auto first = std::lower_bound(list.begin(), list.end(), from.value);
  return first != list.end() && *first < to.value;
}

std::vector<uint64_t> scan_pointers(const ElfImage& image, const RangeSet& ranges) {
  std::vector<uint64_t> found;
  for_each_relocation(image, [&](const Relocation& relocation) {
    if (ranges.contains(relocation.target)) found.push_back(relocation.target);
  });
  if (!image.position_independent()) {
    for (const Segment& segment : image.segments()) {
      const ByteView bytes = image.bytes().subspan(segment.offset.value, segment.file_size);
      // 32 bits at every position: absolute addresses of such files are below 4 GiB, and the low
      // half of a 64-bit pointer is found as well.
      for (uint64_t at = 0; at + 4 <= bytes.size(); ++at) {
        uint32_t value;
        std::memcpy(&value, bytes.data() + at, sizeof(value));
        if (ranges.contains(value)) found.push_back(value);
      }
    }
  }
  sort_unique(found);
  return found;
}

std::vector<uint64_t> scan_relocated_bytes(const ElfImage& image, const RangeSet& ranges) {
  std::vector<uint64_t> found;
  for_each_relocation(image, [&](const Relocation& relocation) {
    // The widest relocation of x86-64 writes 16 bytes (TLSDESC).
    for (uint64_t i = 0; i < 16; ++i)
      if (ranges.contains(relocation.place.value + i)) found.push_back(relocation.place.value + i);
  });
  sort_unique(found);
  return found;
}

Evidence gather_evidence(const ElfImage& image, const RangeSet& ranges) {
  Evidence evidence;
  if (ranges.empty()) return evidence;
  append(evidence.branch_targets, scan_branches(image, ranges));
  append(evidence.relocated_bytes, scan_relocated_bytes(image, ranges));
  return evidence;
}

void deepen_evidence(const ElfImage& image, const RangeSet& ranges, Evidence& evidence) {
  if (ranges.empty()) return;
  append(evidence.branch_targets, scan_branches(image, ranges));
  append(evidence.pointers, scan_pointers(image, ranges));
  append(evidence.taken, scan_taken_addresses(image, ranges));
  append(evidence.relocated_bytes, scan_relocated_bytes(image, ranges));
}

}  // namespace sysrewrite
