#include "loader/start/exported_symbol.h"

#include <cstring>

namespace sysrewrite {

namespace {

struct Tables {
  uint64_t symbols = 0, strings = 0, hash = 0;
};

// Source: binutils, bfd/elflink.c, elf_gnu_hash_process_symidx().
struct HashHeader {
  uint32_t bucket_count, symbol_base, bloom_count, bloom_shift;
};

// The file's bytes behind an address; nothing where not all are one segment's.
std::optional<ByteView> view(const ElfImage& image, uint64_t address, uint64_t size) {
  for (uint32_t i = 0; i < image.header_count(); ++i) {
    const elf::Phdr segment = image.header(i);
    if (segment.type != elf::kPtLoad || address < segment.vaddr) continue;
    const uint64_t inside = address - segment.vaddr;
    const auto at = checked_add(segment.offset, inside);
    if (at && range_fits(inside, size, segment.filesz)) return slice(image.bytes(), *at, size);
  }
  return std::nullopt;
}

template <typename T>
std::optional<T> read(const ElfImage& image, uint64_t table, uint64_t index) {
  const auto offset = checked_multiply(index, sizeof(T));
  const auto address = offset ? checked_add(table, *offset) : std::nullopt;
  const auto bytes = address ? view(image, *address, sizeof(T)) : std::nullopt;
  return bytes ? load<T>(*bytes, 0) : std::nullopt;
}

Tables find_tables(const ElfImage& image) {
  Tables tables;
  for (uint32_t i = 0; i < image.header_count(); ++i) {
    const elf::Phdr segment = image.header(i);
    if (segment.type != elf::kPtDynamic) continue;
    for (uint64_t entry = 0; entry < segment.filesz / sizeof(elf::Dyn); ++entry) {
      const auto found = read<elf::Dyn>(image, segment.vaddr, entry);
      if (!found || found->tag == elf::kDtNull) break;
      if (found->tag == elf::kDtSymtab) tables.symbols = found->value;
      if (found->tag == elf::kDtStrtab) tables.strings = found->value;
      if (found->tag == elf::kDtGnuHash) tables.hash = found->value;
    }
  }
  return tables;
}

uint32_t hash_of(const char* name) {
  uint32_t hash = 5381;
  for (; *name != 0; ++name) hash = hash * 33 + static_cast<uint8_t>(*name);
  return hash;
}

bool is_named(const ElfImage& image, uint64_t strings, const elf::Sym& symbol, const char* name) {
  const size_t size = strlen(name) + 1;
  const auto address = checked_add(strings, symbol.name);
  const auto text = address ? view(image, *address, size) : std::nullopt;
  return text && memcmp(text->data(), name, size) == 0;
}

}  // namespace

std::optional<Vaddr> exported_symbol(const ElfImage& image, const char* name) {
  const Tables tables = find_tables(image);
  const auto header = read<HashHeader>(image, tables.hash, 0);
  if (!header || header->bucket_count == 0) return std::nullopt;
  const uint64_t buckets = tables.hash + sizeof(HashHeader) + uint64_t{header->bloom_count} * 8;
  const uint64_t chains = buckets + uint64_t{header->bucket_count} * 4;
  const uint32_t hash = hash_of(name);
  const auto first = read<uint32_t>(image, buckets, hash % header->bucket_count);
  if (!first || *first < header->symbol_base) return std::nullopt;
  // The chain of a bucket ends with a word whose lowest bit is set.
  for (uint64_t index = *first;; ++index) {
    const auto word = read<uint32_t>(image, chains, index - header->symbol_base);
    const auto symbol = read<elf::Sym>(image, tables.symbols, index);
    if (!word || !symbol) return std::nullopt;
    if ((*word | 1) == (hash | 1) && symbol->shndx != elf::kShnUndef &&
        is_named(image, tables.strings, *symbol, name))
      return Vaddr{symbol->value};
    if ((*word & 1) != 0) return std::nullopt;
  }
}

}  // namespace sysrewrite
