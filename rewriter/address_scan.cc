#include <emmintrin.h>

#include "rewriter/evidence.h"
#include "rewriter/got_offsets.h"

// The superset of computed jumps.
//
// A jump through a pointer goes to an address that stands somewhere as a whole, which the pointer
// and relocation scans find. What they cannot find is an address that is computed: gcc, clang and
// rustc write tables of 32-bit distances from the table itself, whose address is taken with `lea
// table(%rip), %reg`, or is counted from the global offset table (got_offsets.h). So each byte
// position of the code is taken for such a lea (8D, then a ModRM byte with mod 00 and rm 101) or
// such a movabs, and what it points at for such a table, for as long as its entries lead into code.
// A table of another function counts as well: gcc lets a switch lead into the function's split-off
// part.
//
//     tables back to back:   T1: e e e e   T2: e e   T3: e e e e e   "text"
//                            `------------- run -----------------'
//
// Read one by one, each to the end of the run, they would cost the square of their number: large
// libraries have a hundred thousand. So the words are walked once. A word belongs to a run where
// the distance, counted from the word itself, leads into code or near it, which it does for every
// table that the word may be part of. Only where some range lies within a table's length of that
// target is the word tried with each table start of its run: with few ranges that is nearly never.

namespace sysrewrite {

namespace {

constexpr uint64_t kWord = 4;
constexpr uint64_t kLongestTable = 65536 * kWord;  // bytes

// A bit for each aligned word of one segment's file part: some lea takes its address.
class TakenWords {
 public:
  explicit TakenWords(const Segment& segment)
      : skipped_((0 - segment.vaddr.value) % kWord),
        start_(segment.vaddr.value + skipped_),
        words_((segment.file_size - std::min(skipped_, segment.file_size)) / kWord),
        bits_(words_ / 64 + 1) {}

  void add(uint64_t address) {
    const uint64_t offset = address - start_;
    if (offset / kWord >= words_ || offset % kWord != 0) return;
    bits_[offset / kWord / 64] |= uint64_t{1} << (offset / kWord % 64);
  }
  bool holds(uint64_t word) const { return (bits_[word / 64] >> (word % 64) & 1) != 0; }
  // The next word at or behind `word` that is taken, or words().
  uint64_t next(uint64_t word) const {
    if (word >= words_) return words_;
    uint64_t bits = bits_[word / 64] >> (word % 64) << (word % 64);
    for (uint64_t at = word / 64;;) {
      if (bits != 0) return at * 64 + static_cast<unsigned>(__builtin_ctzll(bits));
      if (++at >= bits_.size()) return words_;
      bits = bits_[at];
    }
  }
  // The same, of those at a multiple of `alignment`.
  uint64_t next(uint64_t word, uint64_t alignment) const {
    word = next(word);
    while (word < words_ && address_of(word) % alignment != 0) word = next(word + 1);
    return word;
  }
  uint64_t words() const { return words_; }
  uint64_t address_of(uint64_t word) const { return start_ + word * kWord; }
  // Where a word stands in the segment's file part.
  uint64_t offset_of(uint64_t word) const { return skipped_ + word * kWord; }

 private:
  uint64_t skipped_;  // bytes of the segment in front of the first aligned word
  uint64_t start_;
  uint64_t words_;
  std::vector<uint64_t> bits_;
};

uint64_t possible_leas(const std::byte* bytes) {
  const auto load16 = [](const std::byte* p) {
    return _mm_loadu_si128(static_cast<const __m128i*>(static_cast<const void*>(p)));
  };
  const __m128i opcode = _mm_cmpeq_epi8(load16(bytes), _mm_set1_epi8(static_cast<char>(0x8d)));
  const __m128i modrm = _mm_and_si128(load16(bytes + 1), _mm_set1_epi8(static_cast<char>(0xc7)));
  const __m128i rip = _mm_cmpeq_epi8(modrm, _mm_set1_epi8(0x05));
  return static_cast<uint32_t>(_mm_movemask_epi8(_mm_and_si128(opcode, rip)));
}

// Calls visit(address) for every address that a lea in this code may take.
template <typename Visit>
void for_each_taken(ByteView code, uint64_t start, Visit visit) {
  constexpr size_t kLea = 6;  // without its prefix
  const auto check = [&](size_t at) {
    const auto distance = *load<int32_t>(code, at + 2);
    visit(start + at + kLea + static_cast<uint64_t>(int64_t{distance}));
  };
  size_t at = 0;
  for (; at + 64 + kLea <= code.size(); at += 64) {
    const std::byte* p = code.data() + at;
    uint64_t bits = possible_leas(p) | possible_leas(p + 16) << 16 | possible_leas(p + 32) << 32 |
                    possible_leas(p + 48) << 48;
    for (; bits != 0; bits &= bits - 1) check(at + static_cast<size_t>(__builtin_ctzll(bits)));
  }
  for (; at + kLea <= code.size(); ++at)
    if (code[at] == std::byte{0x8d} && (code[at + 1] & std::byte{0xc7}) == std::byte{0x05})
      check(at);
}

class TableScan {
 public:
  TableScan(const ElfImage& image, const RangeSet& ranges)
      : image_(image), ranges_(ranges), near_(kNearBlockShift) {
    for (const Segment& segment : image.segments()) {
      if (!segment.executable()) continue;
      code_from_ = std::min(code_from_, segment.vaddr.value);
      code_to_ = std::max(code_to_, segment.vaddr.value + segment.file_size);
    }
    // A word's target counted from the word lies up to a table's length behind the true one. What
    // this makes of dense ranges overlaps, and is merged first: each costs the filter its length.
    Range merged{{0}, {0}};
    for (const Range& range : ranges.ranges()) {
      if (range.from > merged.to) {
        near_.add(merged.from, merged.to);
        merged.from = range.from;
      }
      merged.to = range.to + kLongestTable;
    }
    near_.add(merged.from, merged.to);
    near_.seal();
  }

  // Tables of distances of this type: int32_t or int64_t, each at a multiple of its own size.
  template <typename Distance>
  void read(const Segment& segment, const TakenWords& taken, std::vector<uint64_t>& found) const {
    constexpr uint64_t kSize = sizeof(Distance), kWords = kSize / kWord;
    const ByteView bytes = image_.bytes().subspan(segment.offset.value, segment.file_size);
    std::vector<uint64_t> starts;  // of tables in the current run, ascending
    for (uint64_t word = taken.next(0, kSize); word + kWords <= taken.words(); word += kWords) {
      if (taken.holds(word)) starts.push_back(taken.address_of(word));
      const auto entry = *load<Distance>(bytes, taken.offset_of(word));
      const auto distance = static_cast<uint64_t>(int64_t{entry});
      const uint64_t target = taken.address_of(word) + distance;
      if (target - (code_from_ - kLongestTable) >= code_to_ - code_from_ + 2 * kLongestTable) {
        starts.clear();
        word = taken.next(word + kWords, kSize) - kWords;
        continue;
      }
      if (near_.contains(target)) try_starts(starts, distance, found);
    }
  }

 private:
  // Finds each table start that the distance leads from into a range. `starts` ascends, so that the
  // targets do, and what lies between two of them is one look into the ranges, not one for each.
  void try_starts(const std::vector<uint64_t>& starts, uint64_t distance,
                  std::vector<uint64_t>& found) const {
    // A distance back leads to no address from a start that is nearer to 0.
    const bool back = static_cast<int64_t>(distance) < 0;
    auto start =
        back ? std::lower_bound(starts.begin(), starts.end(), 0 - distance) : starts.begin();
    while (start != starts.end()) {
      const uint64_t target = *start + distance;
      const auto range = ranges_.first_ending_behind(target);
      if (range == ranges_.ranges().end()) return;
      if (target >= range->from.value) {
        found.push_back(target);
        ++start;
        continue;
      }
      start = std::lower_bound(start, starts.end(), range->from.value - distance);
    }
  }

  static constexpr unsigned kNearBlockShift = 16;

  const ElfImage& image_;
  const RangeSet& ranges_;
  RangeSet near_;
  uint64_t code_from_ = UINT64_MAX;
  uint64_t code_to_ = 0;
};

}  // namespace

std::vector<uint64_t> scan_taken_addresses(const ElfImage& image, const RangeSet& ranges) {
  std::vector<uint64_t> found;
  std::vector<TakenWords> taken;
  for (const Segment& segment : image.segments()) taken.emplace_back(segment);
  const auto& segments = image.segments();
  const std::vector<uint64_t> got = got_addresses(image);
  for (const Segment& segment : segments) {
    if (!segment.executable()) continue;
    const ByteView code = image.bytes().subspan(segment.offset.value, segment.file_size);
    const auto take = [&](uint64_t address) {
      if (ranges.contains(address)) found.push_back(address);
      for (size_t i = 0; i < segments.size(); ++i)
        if (segments[i].holds({address})) taken[i].add(address);
    };
    for_each_taken(code, segment.vaddr.value, take);
    for_each_got_offset(code, segment.vaddr, got,
                        [&take](Vaddr, Vaddr address) { take(address.value); });
  }
  const TableScan scan(image, ranges);
  for (size_t i = 0; i < segments.size(); ++i) {
    scan.read<int32_t>(segments[i], taken[i], found);
    scan.read<int64_t>(segments[i], taken[i], found);
  }
  return found;
}

}  // namespace sysrewrite
