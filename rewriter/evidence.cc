#include "rewriter/evidence.h"

#include <emmintrin.h>

#include "rewriter/accesses.h"
#include "rewriter/patch_points.h"
#include "rewriter/relocations.h"

namespace sysrewrite {

namespace {

void sort_unique(std::vector<uint64_t>& list) {
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

// 32 bits at every position that equal an address of the ranges. Files that cannot move lie below
// 4 GiB, nearly all of them, and the low half of a 64-bit pointer is found as well.
//
// 16 positions at a time are asked whether theirs lies between the lowest and the highest range at
// all, in four loads of four words each, every fourth position in one.
void scan_words(ByteView bytes, const RangeSet& ranges, std::vector<uint64_t>& found) {
  if (ranges.empty() || ranges.lowest() > UINT32_MAX) return;
  const auto lowest = static_cast<uint32_t>(ranges.lowest());
  const uint64_t last = std::min<uint64_t>(ranges.highest() - 1, UINT32_MAX);
  // SSE2 compares signed: both sides are moved by 2^31.
  const __m128i offset = _mm_set1_epi32(static_cast<int32_t>(0x80000000U - lowest));
  const __m128i most =
      _mm_set1_epi32(static_cast<int32_t>((static_cast<uint32_t>(last) - lowest) ^ 0x80000000U));
  const auto outside = [&](const std::byte* p) {
    const void* place = p;
    const __m128i words = _mm_loadu_si128(static_cast<const __m128i*>(place));
    return _mm_cmpgt_epi32(_mm_add_epi32(words, offset), most);
  };
  const auto check = [&](uint64_t at) {
    uint32_t value;
    std::memcpy(&value, bytes.data() + at, sizeof(value));
    if (ranges.contains(value)) found.push_back(value);
  };
  uint64_t at = 0;
  for (; at + 16 + 3 <= bytes.size(); at += 16) {
    const std::byte* p = bytes.data() + at;
    const __m128i even = _mm_packs_epi32(outside(p), outside(p + 1));
    const __m128i odd = _mm_packs_epi32(outside(p + 2), outside(p + 3));
    const int all = _mm_movemask_epi8(_mm_packs_epi16(even, odd));
    // Four bits for each of the four loads, one for each word of it.
    for (unsigned bits = ~static_cast<unsigned>(all) & 0xffff; bits != 0; bits &= bits - 1) {
      const auto bit = static_cast<uint64_t>(__builtin_ctz(bits));
      check(at + bit / 4 + bit % 4 * 4);
    }
  }
  for (; at + 4 <= bytes.size(); ++at) check(at);
}

// 64 bits at every position, for the part of the ranges that lies at 4 GiB or above: an address of
// it has all of them wherever it stands, in a table or in a movabs.
void scan_long_words(ByteView bytes, const RangeSet& ranges, std::vector<uint64_t>& found) {
  if (ranges.empty() || ranges.highest() - 1 <= UINT32_MAX) return;
  for (uint64_t at = 0; at + 8 <= bytes.size(); ++at) {
    uint64_t value;
    std::memcpy(&value, bytes.data() + at, sizeof(value));
    if (value > UINT32_MAX && ranges.contains(value)) found.push_back(value);
  }
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
  if (!image.position_independent())
    for (const Segment& segment : image.segments()) {
      const ByteView bytes = image.words_of(segment);
      scan_words(bytes, ranges, found);
      scan_long_words(bytes, ranges, found);
    }
  sort_unique(found);
  return found;
}

std::vector<uint64_t> scan_relocated_bytes(const ElfImage& image, const RangeSet& ranges) {
  RangeSet near;
  for (const Range& range : ranges.ranges())
    near.add(range.from - std::min(kWidestRelocation - 1, range.from.value), range.to);
  near.seal();
  std::vector<uint64_t> found;
  for_each_relocation(image, [&](const Relocation& relocation) {
    if (!near.contains(relocation.place.value)) return;
    for (uint64_t i = 0; i < relocation.width; ++i)
      if (ranges.contains(relocation.place.value + i)) found.push_back(relocation.place.value + i);
  });
  sort_unique(found);
  return found;
}

namespace {

// Those of the ranges that the file's own headers stand in, in memory. Who loads the file reads
// them, so they stay as they are, like what a relocation writes to.
void add_header_bytes(const ElfImage& image, const RangeSet& ranges, std::vector<uint64_t>& found) {
  const elf::Ehdr& header = image.header();
  const std::pair<uint64_t, uint64_t> parts[] = {
      {0, sizeof(elf::Ehdr)},
      {header.phoff, header.phnum * sizeof(elf::Phdr)},
      {header.shoff, image.sections().size() * sizeof(elf::Shdr)}};
  for (const Segment& segment : image.segments())
    for (const auto& [offset, size] : parts) {
      const uint64_t from = std::max(offset, segment.offset.value);
      const uint64_t to = std::min(offset + size, segment.offset.value + segment.file_size);
      const Vaddr start = segment.vaddr + (from - segment.offset.value);
      const Vaddr end = segment.vaddr + (to - segment.offset.value);
      if (from >= to) continue;
      const auto& all = ranges.ranges();
      for (auto it = ranges.first_ending_behind(start.value); it != all.end() && it->from < end;
           ++it)
        for (Vaddr at = std::max(it->from, start); at < std::min(it->to, end); at = at + 1)
          found.push_back(at.value);
    }
}

}  // namespace

Evidence gather_evidence(const ElfImage& image, const FunctionIndex& functions,
                         const RangeSet& ranges, const RangeSet& middles) {
  Evidence evidence;
  if (ranges.empty()) return evidence;
  evidence.seams = image.seams();
  const CodeScan scan = scan_code(image, ranges);
  for (const PossibleBranch& branch : scan.branches)
    evidence.branch_targets.push_back(branch.target);
  sort_unique(evidence.branch_targets);
  evidence.inner_entries = find_inner_entries(image, functions, middles, scan.branches);
  evidence.relocated_bytes = scan_relocated_bytes(image, ranges);
  add_header_bytes(image, ranges, evidence.relocated_bytes);
  sort_unique(evidence.relocated_bytes);
  evidence.patch_points = scan_patch_points(image, ranges);
  Accesses accesses = find_accesses(image, functions, ranges, scan.operands);
  evidence.accessed = std::move(accesses.possible);
  evidence.surely_accessed = std::move(accesses.certain);
  return evidence;
}

void deepen_evidence(const ElfImage& image, const RangeSet& ranges, Evidence& evidence) {
  if (ranges.empty()) return;
  evidence.pointers = scan_pointers(image, ranges);
  evidence.taken = scan_taken_addresses(image, ranges);
  sort_unique(evidence.taken);
}

}  // namespace sysrewrite
