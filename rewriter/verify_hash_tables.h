// verify: how far ld.so's hash tables reach, and how many symbols they lead to.
#ifndef SYSREWRITE_REWRITER_VERIFY_HASH_TABLES_H_
#define SYSREWRITE_REWRITER_VERIFY_HASH_TABLES_H_

#include <cstdint>

#include "trampoline/bytes.h"

namespace sysrewrite {

struct HashExtent {
  uint64_t symbols;  // that it leads to, with all in front; of what is cut off, as far as it goes
  uint64_t bytes;
  bool is_whole;  // false where it does not end within the bytes at hand
};

// Of DT_HASH, from its first byte to wherever there is something to read.
HashExtent hash_extent(ByteView table);

// Of DT_GNU_HASH, likewise.
HashExtent gnu_hash_extent(ByteView table);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_HASH_TABLES_H_
