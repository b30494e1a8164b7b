#include "rewriter/verify_dynamic.h"

#include <algorithm>

namespace sysrewrite {

namespace {

struct Extent {
  uint64_t symbols = 0, bytes = 0;
};

constexpr Extent kUnread{UINT64_MAX, UINT64_MAX};

// Source: gABI "Hash Table".
Extent hash_extent(ByteView table) {
  const auto sizes = load<uint64_t>(table, 0);
  if (!sizes) return kUnread;
  const uint64_t buckets = *sizes & UINT32_MAX, chains = *sizes >> 32;
  return {chains, 8 + 4 * (buckets + chains)};
}

// Four words, a filter of 64-bit words, the buckets; then a word for each symbol from the first one
// on that can be found. A bucket is the first symbol of a run, whose last word is odd.
Extent gnu_hash_extent(ByteView table) {
  const auto word = [table](uint64_t at) { return load<uint32_t>(table, at); };
  const auto buckets = word(0), first = word(4), filter = word(8);
  if (!buckets || !first || !filter) return kUnread;
  const uint64_t from = 16 + 8 * uint64_t{*filter}, to = from + 4 * uint64_t{*buckets};
  if (to > table.size()) return kUnread;
  uint64_t last = 0;
  for (uint64_t at = from; at < to; at += 4) last = std::max<uint64_t>(last, *word(at));
  if (last < *first) return {*first, to};
  for (;; ++last) {
    const uint64_t at = to + 4 * (last - *first);
    const auto hash = word(at);
    if (!hash) return kUnread;
    if (*hash % 2 != 0) return {last + 1, at + 4};
  }
}

Extent extent_of(const OriginalImage& original, int64_t tag) {
  const auto address = original.dynamic(tag);
  if (!address) return {};
  const ByteView table = original.bytes_from({*address});
  return tag == elf::kDtHash ? hash_extent(table) : gnu_hash_extent(table);
}

}  // namespace

uint64_t bytes_that_are_read(const OriginalImage& original, uint32_t section_type) {
  const Extent plain = extent_of(original, elf::kDtHash);
  const Extent gnu = extent_of(original, elf::kDtGnuHash);
  if (section_type == elf::kShtHash) return plain.bytes;
  if (section_type == elf::kShtGnuHash) return gnu.bytes;
  const uint64_t symbols =
      std::max({plain.symbols, gnu.symbols, original.symbols_of_relocations()});
  return symbols == UINT64_MAX ? symbols : symbols * sizeof(elf::Sym);
}

}  // namespace sysrewrite
