#include "rewriter/verify_dynamic.h"

#include <algorithm>

#include "rewriter/verify_hash_tables.h"

namespace sysrewrite {

namespace {

HashExtent extent_of(const OriginalImage& original, int64_t tag) {
  const auto address = original.dynamic(tag);
  if (!address) return {0, 0, true};
  const ByteView table = original.bytes_from({*address});
  return tag == elf::kDtHash ? hash_extent(table) : gnu_hash_extent(table);
}

}  // namespace

uint64_t bytes_that_are_read(const OriginalImage& original, uint32_t section_type) {
  constexpr uint64_t kAll = UINT64_MAX;
  const HashExtent plain = extent_of(original, elf::kDtHash);
  const HashExtent gnu = extent_of(original, elf::kDtGnuHash);
  if (section_type == elf::kShtHash) return plain.is_whole ? plain.bytes : kAll;
  if (section_type == elf::kShtGnuHash) return gnu.is_whole ? gnu.bytes : kAll;
  if (!plain.is_whole || !gnu.is_whole) return kAll;
  return std::max({plain.symbols, gnu.symbols, original.symbols_of_relocations()}) *
         sizeof(elf::Sym);
}

}  // namespace sysrewrite
