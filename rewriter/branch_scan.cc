#include <emmintrin.h>

#include "rewriter/decoder.h"
#include "rewriter/evidence.h"

// The superset scan of branches and operands.
//
//     70..7F cb   jcc rel8        EB cb   jmp rel8        E0..E3 cb   loop, jrcxz
//     0F 80..8F cd  jcc rel32     E9 cd   jmp rel32       E8 cd       call rel32
//     C7 F8 cd    xbegin
//
// Prefixes stand in front and change neither target nor length. Each position of the code is taken
// for the first byte of each of them. Short branches need no scan of the whole: only those 129
// bytes around a range can reach it. For the long ones 64 positions at a time are asked whether
// an opcode ends there; one in fifty does, and only there a displacement is loaded and looked up.
//
//     mod 00, rm 101, cd     an operand, counted from the instruction's end
//
// A displacement stands behind its ModRM byte as behind a branch's opcode, so it is loaded and
// looked up alike. Up to four bytes of an immediate may follow, and the operand is up to 64 long.

namespace sysrewrite {

namespace {

struct Code {
  const uint8_t* bytes;
  uint64_t size;
  uint64_t address;
};

bool is_short_branch(uint8_t opcode) {
  return (opcode & 0xf0) == 0x70 || opcode == 0xeb || (opcode >= 0xe0 && opcode <= 0xe3);
}

void scan_short(const Code& code, const Range& range, std::vector<PossibleBranch>& found) {
  constexpr uint64_t kBack = 127 + 2, kAhead = 128;
  if (range.to.value + kAhead <= code.address) return;
  const uint64_t from =
      range.from.value < code.address + kBack ? 0 : range.from.value - kBack - code.address;
  const uint64_t to = std::min(code.size, range.to.value + kAhead - code.address);
  for (uint64_t at = from; at + 2 <= to; ++at) {
    if (!is_short_branch(code.bytes[at])) continue;
    const auto displacement = static_cast<int8_t>(code.bytes[at + 1]);
    const uint64_t target = code.address + at + 2 + static_cast<uint64_t>(int64_t{displacement});
    if (target >= range.from.value && target < range.to.value)
      found.push_back({code.address + at, target});
  }
}

bool is_operand(uint8_t byte) {
  return (byte & 0xc7) == 0x05;
}

bool ends_long_opcode(const Code& code, uint64_t at) {
  const uint8_t byte = code.bytes[at];
  if ((byte & 0xfe) == 0xe8) return true;
  if (at == 0) return false;
  const uint8_t before = code.bytes[at - 1];
  return ((byte & 0xf0) == 0x80 && before == 0x0f) || (byte == 0xf8 && before == 0xc7);
}

// One bit for each of 16 positions that is the last byte of a long branch's opcode, or an operand's
// ModRM byte. The byte in front of them is looked at too: 80 to 8F alone are among the most
// frequent bytes of code.
uint64_t displacement_starts(const uint8_t* bytes) {
  const auto at = [](const uint8_t* p) {
    return _mm_loadu_si128(static_cast<const __m128i*>(static_cast<const void*>(p)));
  };
  const auto equals = [](__m128i a, uint8_t b) {
    return _mm_cmpeq_epi8(a, _mm_set1_epi8(static_cast<char>(b)));
  };
  const auto masked = [](__m128i v, uint8_t mask) {
    return _mm_and_si128(v, _mm_set1_epi8(static_cast<char>(mask)));
  };
  const __m128i last = at(bytes), before = at(bytes - 1);
  const __m128i jump_or_call = equals(masked(last, 0xfe), 0xe8);
  const __m128i conditional = _mm_and_si128(equals(masked(last, 0xf0), 0x80), equals(before, 0x0f));
  const __m128i transaction = _mm_and_si128(equals(last, 0xf8), equals(before, 0xc7));
  const __m128i operand = equals(masked(last, 0xc7), 0x05);
  return static_cast<uint32_t>(_mm_movemask_epi8(
      _mm_or_si128(_mm_or_si128(jump_or_call, conditional), _mm_or_si128(transaction, operand))));
}

class LongScan {
 public:
  LongScan(const Code& code, const RangeSet& ranges, const RangeSet& near, CodeScan& found)
      : code_(code), ranges_(ranges), near_(near), found_(found) {}

  void run() {
    if (code_.size < 5) return;
    const uint64_t last = code_.size - 5;  // the last position that a displacement still follows
    uint64_t at = 0;
    const auto check_one = [&] {
      if (ends_long_opcode(code_, at) || is_operand(code_.bytes[at])) check(at);
      ++at;
    };
    check_one();  // nothing stands in front of it
    for (; at + 64 <= last; at += 64) {
      const uint8_t* p = code_.bytes + at;
      uint64_t bits = displacement_starts(p) | displacement_starts(p + 16) << 16 |
                      displacement_starts(p + 32) << 32 | displacement_starts(p + 48) << 48;
      for (; bits != 0; bits &= bits - 1) check(at + static_cast<unsigned>(__builtin_ctzll(bits)));
    }
    while (at <= last) check_one();
  }

 private:
  // `at`: the byte before a displacement.
  void check(uint64_t at) {
    int32_t displacement;
    std::memcpy(&displacement, code_.bytes + at + 1, sizeof(displacement));
    const uint64_t target = code_.address + at + 5 + static_cast<uint64_t>(int64_t{displacement});
    if (!near_.contains(target)) return;
    if (is_operand(code_.bytes[at])) found_.operands.push_back(code_.address + at);
    if (ends_long_opcode(code_, at) && ranges_.contains(target))
      found_.branches.push_back({code_.address + at, target});
  }

  const Code& code_;
  const RangeSet& ranges_;
  const RangeSet& near_;  // with what an operand may begin in front of them
  CodeScan& found_;
};

// The ranges, and where an instruction with such an operand may seem to point.
RangeSet near_ranges(const RangeSet& ranges) {
  constexpr uint64_t kLongestImmediate = 4;
  RangeSet near;
  for (const Range& range : ranges.ranges())
    near.add(range.from - std::min(kWidestAccess - 1 + kLongestImmediate, range.from.value),
             range.to);
  near.seal();
  return near;
}

}  // namespace

CodeScan scan_code(const ElfImage& image, const RangeSet& ranges) {
  CodeScan found;
  const RangeSet near = near_ranges(ranges);
  for (const Segment& segment : image.segments()) {
    if (!segment.executable() || segment.file_size == 0) continue;
    const void* start = image.bytes().data() + segment.offset.value;
    const Code code{static_cast<const uint8_t*>(start), segment.file_size, segment.vaddr.value};
    LongScan(code, ranges, near, found).run();
    for (const Range& range : ranges.ranges()) scan_short(code, range, found.branches);
  }
  return found;
}

}  // namespace sysrewrite
