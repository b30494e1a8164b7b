// What ld.so reads of the dynamic symbol table and of its hash tables: they say so themselves, and
// section headers, which ld.so does not look at, may say something else.
// Source: gABI "Hash Table"; the GNU one: chains end at a hash with its lowest bit set.
#ifndef SYSREWRITE_REWRITER_HASH_TABLES_H_
#define SYSREWRITE_REWRITER_HASH_TABLES_H_

#include <optional>

#include "rewriter/elf_image.h"

namespace sysrewrite {

struct HashTable {
  uint64_t symbols;  // of the symbol table, up to the last one that it leads to
  uint64_t size;     // bytes
  bool is_whole;     // false where the file holds less of it: then as far as that goes
};

// That of DT_HASH or DT_GNU_HASH. Nothing where there is none, or less than its head.
std::optional<HashTable> read_hash_table(const ElfImage& image, int64_t tag);

// Bytes of the dynamic symbol table, up to the last symbol that a hash table or a relocation leads
// to. Nothing where a hash table cannot be read.
std::optional<uint64_t> used_symbol_bytes(const ElfImage& image);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_HASH_TABLES_H_
