#include "rewriter/candidates.h"

#include <emmintrin.h>

namespace sysrewrite {

namespace {

std::optional<PairKind> pair_at(const uint8_t* bytes) {
  if (bytes[0] == 0x0f && bytes[1] == 0x05) return PairKind::kSyscall;
  if (bytes[0] == 0x0f && bytes[1] == 0x34) return PairKind::kSysenter;
  if (bytes[0] == 0xcd && bytes[1] == 0x80) return PairKind::kInt80;
  return std::nullopt;
}

// All ones at each of 16 positions whose two bytes are one of the pairs. SSE2 is part of x86-64, so
// there is no other path to test.
__m128i pairs(const uint8_t* bytes) {
  const auto at = [](const uint8_t* p) {
    return _mm_loadu_si128(static_cast<const __m128i*>(static_cast<const void*>(p)));
  };
  const auto equals = [](__m128i v, uint8_t byte) {
    return _mm_cmpeq_epi8(v, _mm_set1_epi8(static_cast<char>(byte)));
  };
  const __m128i first = at(bytes);
  const __m128i second = at(bytes + 1);
  const __m128i two_byte =
      _mm_and_si128(equals(first, 0x0f), _mm_or_si128(equals(second, 0x05), equals(second, 0x34)));
  const __m128i interrupt = _mm_and_si128(equals(first, 0xcd), equals(second, 0x80));
  return _mm_or_si128(two_byte, interrupt);
}

// Pairs are a few hundred in a hundred million bytes, so whether there is one is asked for 64
// positions at once.
bool any_pair(const uint8_t* bytes) {
  const __m128i low = _mm_or_si128(pairs(bytes), pairs(bytes + 16));
  const __m128i high = _mm_or_si128(pairs(bytes + 32), pairs(bytes + 48));
  return _mm_movemask_epi8(_mm_or_si128(low, high)) != 0;
}

void scan(ByteView code, Vaddr start, std::vector<Candidate>& found) {
  const auto* bytes = static_cast<const uint8_t*>(static_cast<const void*>(code.data()));
  size_t at = 0;
  const auto scan_to = [&](size_t end) {
    for (; at < end; ++at)
      if (const auto kind = pair_at(bytes + at)) found.push_back({start + at, *kind});
  };
  while (at + 65 <= code.size()) {
    if (any_pair(bytes + at))
      scan_to(at + 64);
    else
      at += 64;
  }
  if (!code.empty()) scan_to(code.size() - 1);
}

}  // namespace

std::vector<Candidate> find_candidates(const ElfImage& image) {
  std::vector<Candidate> found;
  for (const Segment& segment : image.segments()) {
    if (!segment.executable()) continue;
    scan(image.bytes().subspan(segment.offset.value, segment.file_size), segment.vaddr, found);
  }
  return found;
}

}  // namespace sysrewrite
