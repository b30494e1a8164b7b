#include "rewriter/verify_hash_tables.h"

#include <algorithm>

namespace sysrewrite {

// Source: gABI "Hash Table": nbucket, nchain, the buckets, and a chain of as many words as symbols.
HashExtent hash_extent(ByteView table) {
  const auto sizes = load<uint64_t>(table, 0);
  if (!sizes) return {load<uint32_t>(table, 4).value_or(0), 0, false};
  const uint64_t buckets = *sizes & UINT32_MAX, chains = *sizes >> 32;
  return {chains, 8 + 4 * (buckets + chains), true};
}

// Four words, a filter of 64-bit words, the buckets; then a word for each symbol from the first one
// on that can be found. A bucket is the first symbol of a run, whose last word is odd.
HashExtent gnu_hash_extent(ByteView table) {
  const auto word = [table](uint64_t at) { return load<uint32_t>(table, at); };
  const auto buckets = word(0), first = word(4), filter = word(8);
  if (!buckets || !first || !filter) return {0, 0, false};
  const uint64_t from = 16 + 8 * uint64_t{*filter}, to = from + 4 * uint64_t{*buckets};
  uint64_t last = 0;
  for (uint64_t at = from; at < std::min<uint64_t>(to, table.size()); at += 4)
    last = std::max<uint64_t>(last, word(at).value_or(0));
  if (last < *first) return {*first, to, to <= table.size()};
  for (;; ++last) {
    const uint64_t at = to + 4 * (last - *first);
    const auto hash = word(at);
    if (!hash) return {last + 1, at, false};
    if (*hash % 2 != 0) return {last + 1, at + 4, true};
  }
}

}  // namespace sysrewrite
