// A section header table with more in it than the input's: further sections and symbols, for
// debuggers and other tools, and for those that lay the file out anew; nothing that runs reads it.
//
// The input's tables stay where they are, and what the new one takes over from them stands in
// copies behind the input:
//
//   at       +------------------------------+
//            | symbols: the old, the added  |  .symtab; old indices do not change     } only where
//            | extended section indices     |  SHT_SYMTAB_SHNDX, where the input has  } symbols are
//            | strings: the old, the added  |  .strtab                                } added
//            | section names                |  .shstrtab, where it is not .strtab itself
//            | added sections' bytes        |  in the order in which they were added
//            | section headers              |
//   + size   +------------------------------+  each part at a multiple of 8
//
// The old entries keep their indices and all they say but the place of these tables and of what was
// moved; new ones follow: those that were added, and .symtab, .strtab and .shstrtab where the input
// has none. An input with .dynsym alone gets a .symtab that holds its defined symbols too: tools
// read one table.
#ifndef SYSREWRITE_REWRITER_SECTION_TABLE_H_
#define SYSREWRITE_REWRITER_SECTION_TABLE_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rewriter/elf_image.h"

namespace sysrewrite {

struct AddedSection {
  std::string name;
  uint32_t type = elf::kShtProgbits;
  uint64_t flags = 0;
  Vaddr address;
  uint64_t alignment = 1;
  // Where its bytes stand in the output and how many they are; nothing: `bytes`, in this part.
  std::optional<FileOffset> offset;
  uint64_t size = 0;
  std::vector<std::byte> bytes;
  // The index of the section of the input whose entry is pointed at `bytes` instead of a new one.
  std::optional<size_t> instead_of;
};

struct AddedSymbol {
  std::string name;
  uint64_t offset = 0;  // from the start of its section
  uint64_t size = 0;
  size_t section = 0;  // as add() returned it
};

struct SectionTableBytes {
  std::vector<std::byte> bytes;  // from the offset that was asked for
  FileOffset table;
  uint16_t count = 0, names = 0;  // e_shnum, e_shstrndx
};

enum class SymbolTables { kKept, kGrown };

class SectionTable {
 public:
  // Fails where the input's section headers, names or, if those are to grow, symbols make no sense:
  // what they say is kept, so it must hold. `image` must outlive this.
  static Result<SectionTable> read(const ElfImage& image, SymbolTables symbols);

  // The index of the section of that name in the input.
  std::optional<size_t> find(const std::string& name) const;
  // Both return an index for AddedSymbol::section and the like, and cannot fail.
  size_t add(AddedSection section);
  void add(AddedSymbol symbol) { symbols_.push_back(std::move(symbol)); }
  // Says where the bytes of an added section stand, once that is known.
  void place(size_t section, FileOffset offset, Vaddr address);

  // The input's section is elsewhere now, and may be of another size.
  void move(size_t section, FileOffset offset, Vaddr address, uint64_t size);
  void rename(size_t section, const std::string& name);

  // Bytes of the part, which do not depend on where it lies. Fails where the tables outgrow their
  // 16 or 32 bits.
  Result<uint64_t> measure() const;
  // `at`: a multiple of 8. Aborts on what measure() refuses.
  SectionTableBytes build(FileOffset at) const;

 private:
  struct Move {
    size_t section = 0;
    FileOffset offset;
    Vaddr address;
    uint64_t size = 0;
  };

  const ElfImage* image_ = nullptr;
  std::vector<elf::Shdr> headers_;                          // of the input, or one null entry
  std::optional<size_t> symtab_, shndx_, strings_, names_;  // indices of the input
  std::vector<AddedSection> added_;
  std::vector<Move> moved_;
  std::vector<std::pair<size_t, std::string>> renamed_;
  SymbolTables growing_ = SymbolTables::kGrown;
  std::vector<AddedSymbol> symbols_;

  friend class SectionTableReader;
  friend class SectionTableBuilder;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_SECTION_TABLE_H_
