#include "rewriter/hash_tables.h"

#include <algorithm>

#include "rewriter/relocations.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kWord = sizeof(uint32_t);

std::optional<HashTable> read_plain(ByteView bytes) {
  const auto buckets = load<uint32_t>(bytes, 0), chains = load<uint32_t>(bytes, kWord);
  if (!buckets || !chains) return std::nullopt;
  return HashTable{*chains, (2 + uint64_t{*buckets} + *chains) * kWord, true};
}

std::optional<HashTable> read_gnu(ByteView bytes) {
  const auto buckets = load<uint32_t>(bytes, 0), first = load<uint32_t>(bytes, kWord);
  const auto bloom = load<uint32_t>(bytes, 2 * kWord);
  if (!buckets || !first || !bloom) return std::nullopt;
  const uint64_t bucket_table = 4 * kWord + uint64_t{*bloom} * sizeof(uint64_t);
  const uint64_t chains = bucket_table + uint64_t{*buckets} * kWord;
  uint64_t highest = 0;
  for (uint64_t at = bucket_table; at < chains; at += kWord) {
    const auto bucket = load<uint32_t>(bytes, at);
    if (!bucket) break;
    highest = std::max<uint64_t>(highest, *bucket);
  }
  if (highest < *first) return HashTable{*first, chains, chains <= bytes.size()};
  for (;; ++highest) {
    const uint64_t at = chains + (highest - *first) * kWord;
    const auto hash = load<uint32_t>(bytes, at);
    if (!hash) return HashTable{highest + 1, at, false};
    if ((*hash & 1) != 0) return HashTable{highest + 1, at + kWord, true};
  }
}

}  // namespace

std::optional<HashTable> read_hash_table(const ElfImage& image, int64_t tag) {
  const auto address = image.dynamic(tag);
  const auto bytes = address ? image.bytes_from({*address}) : std::nullopt;
  if (!bytes) return std::nullopt;
  return tag == elf::kDtHash ? read_plain(*bytes) : read_gnu(*bytes);
}

std::optional<uint64_t> used_symbol_bytes(const ElfImage& image) {
  uint64_t symbols = 0;
  for (const int64_t tag : {elf::kDtHash, elf::kDtGnuHash}) {
    if (!image.dynamic(tag)) continue;
    const auto table = read_hash_table(image, tag);
    if (!table || !table->is_whole) return std::nullopt;
    symbols = std::max(symbols, table->symbols);
  }
  for_each_relocation(image, [&symbols](const Relocation& relocation) {
    if (relocation.symbol != 0) symbols = std::max(symbols, relocation.symbol + 1);
  });
  return symbols * sizeof(elf::Sym);
}

}  // namespace sysrewrite
