// The symbol tables, one symbol at a time.
#ifndef SYSREWRITE_REWRITER_SYMBOLS_H_
#define SYSREWRITE_REWRITER_SYMBOLS_H_

#include <string_view>

#include "rewriter/elf_image.h"

namespace sysrewrite {

struct Symbol {
  // Bytes. Compilers' names of 2265 were seen: templates in C++ and closures in Rust.
  static constexpr size_t kLongestName = 16384;

  Vaddr address;
  uint64_t size = 0;
  uint8_t type = 0;  // STT_*
  ByteView names;    // the string table
  uint32_t name_offset = 0;

  // Looked up when asked for: most symbols are passed over by their address. Cut behind
  // kLongestName bytes, for any number of symbols may share a name as long as the file.
  std::string_view name() const;
  // True where that is its whole name, of any length.
  bool is_named(std::string_view name) const;

 private:
  std::string_view names_from_here() const;
};

// Functions and labels in code: what an address of code may be named by.
bool names_code(const ElfImage& image, const Symbol& symbol);

// Calls visit(const Symbol&) for each defined symbol of .symtab and .dynsym (through the dynamic
// segment where section headers do not name all of it). Symbols that do not parse are left out.
template <typename Visit>
void for_each_symbol(const ElfImage& image, Visit visit);

namespace detail {

struct SymbolTable {
  ByteView symbols;
  ByteView names;
};

std::vector<SymbolTable> find_symbol_tables(const ElfImage& image);

}  // namespace detail

template <typename Visit>
void for_each_symbol(const ElfImage& image, Visit visit) {
  for (const detail::SymbolTable& table : detail::find_symbol_tables(image)) {
    for (uint64_t at = 0; range_fits(at, sizeof(elf::Sym), table.symbols.size());
         at += sizeof(elf::Sym)) {
      const auto symbol = *load<elf::Sym>(table.symbols, at);
      if (symbol.shndx == 0 || symbol.value == 0) continue;
      visit(Symbol{{symbol.value},
                   symbol.size,
                   static_cast<uint8_t>(symbol.info & 0xf),
                   table.names,
                   symbol.name});
    }
  }
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_SYMBOLS_H_
