// Addresses that code counts from the global offset table.
//
//     lea     _GLOBAL_OFFSET_TABLE_(%rip), %r10
//     movabs  $table@GOTOFF, %rdx
//     add     %r10, %rdx
//
// Position-independent code of the medium and the large code model takes the address of its data
// so, of clang's jump tables and labels, too. The table's own address comes from a lea, or from
// another movabs and a label, which is not asked. Source: System V psABI x86-64,
// "Position-Independent Code" under "Coding Examples".
#ifndef SYSREWRITE_REWRITER_GOT_OFFSETS_H_
#define SYSREWRITE_REWRITER_GOT_OFFSETS_H_

#include <emmintrin.h>

#include <vector>

#include "rewriter/elf_image.h"

namespace sysrewrite {

// Where the table may be counted from: what DT_PLTGOT says, and where .got.plt and .got begin. Of
// more sections than kMostSections none is asked.
inline constexpr size_t kMostSections = 1024;
std::vector<uint64_t> got_addresses(const ElfImage& image);

// Bit by bit, which of 16 bytes may be the opcode of a movabs, by the byte in front.
inline unsigned possible_movabs(const std::byte* bytes) {
  const auto is = [](const std::byte* p, char value) {
    const __m128i loaded =
        _mm_loadu_si128(static_cast<const __m128i*>(static_cast<const void*>(p)));
    const __m128i masked = _mm_and_si128(loaded, _mm_set1_epi8(static_cast<char>(0xf8)));
    return _mm_cmpeq_epi8(masked, _mm_set1_epi8(value));
  };
  const __m128i both =
      _mm_and_si128(is(bytes, static_cast<char>(0x48)), is(bytes + 1, static_cast<char>(0xb8)));
  return static_cast<unsigned>(_mm_movemask_epi8(both));
}

// Calls visit(behind, address) for each movabs that any byte of this code may begin, and each
// address that it may make: REX.W, B8 to BF, and 64 bits, counted from one of `tables`.
template <typename Visit>
void for_each_got_offset(ByteView code, Vaddr start, const std::vector<uint64_t>& tables,
                         Visit visit) {
  constexpr uint64_t kMovabs = 10, kAtOnce = 16;
  const auto check = [&](uint64_t at) {
    const uint64_t offset = *load<uint64_t>(code, at + 2);
    for (const uint64_t table : tables) visit(start + at + kMovabs, Vaddr{table + offset});
  };
  uint64_t at = 0;
  for (; at + kAtOnce + kMovabs <= code.size(); at += kAtOnce)
    for (unsigned bits = possible_movabs(code.data() + at); bits != 0; bits &= bits - 1)
      check(at + static_cast<unsigned>(__builtin_ctz(bits)));
  for (; at + kMovabs <= code.size(); ++at)
    if ((code[at] & std::byte{0xf8}) == std::byte{0x48} &&
        (code[at + 1] & std::byte{0xf8}) == std::byte{0xb8})
      check(at);
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_GOT_OFFSETS_H_
