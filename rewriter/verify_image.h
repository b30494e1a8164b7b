// The original file, as verify reads it: the output with everything put back, and the few facts of
// its headers that a proof needs. A reader of its own; what it cannot read is not there.
#ifndef SYSREWRITE_REWRITER_VERIFY_IMAGE_H_
#define SYSREWRITE_REWRITER_VERIFY_IMAGE_H_

#include <functional>
#include <optional>
#include <vector>

#include "rewriter/verify_findings.h"
#include "trampoline/elf_types.h"
#include "trampoline/rewritten_file.h"

namespace sysrewrite {

class OriginalImage {
 public:
  // The bytes of a record, and where they stand in the file.
  struct Place {
    uint64_t offset;
    ByteView original;
  };

  // Puts every recorded original back. Nothing, and a finding, where a record names bytes outside
  // the input or where the headers of the result cannot be read.
  static std::optional<OriginalImage> restore(ByteView output, const RewrittenFile& file,
                                              Findings& findings);

  // The code as it was, under the headers of today but for the trampoline's own segments: where
  // another tool has written them anew (--embed=segment).
  static std::optional<OriginalImage> restore_code(ByteView output, const RewrittenFile& file,
                                                   Findings& findings);

  ByteView bytes() const { return bytes_; }
  const elf::Ehdr& header() const { return header_; }
  const std::vector<elf::Phdr>& program_headers() const { return phdrs_; }
  // PT_LOADs that map something: ascending, disjoint, their file parts inside the file; those of
  // code that adjoin are one.
  const std::vector<elf::Phdr>& loads() const { return loads_; }
  ByteView bytes_of(const elf::Phdr& load) const {
    return ByteView(bytes_).subspan(load.offset, load.filesz);
  }
  // With what some 64 bits that begin there can have of the one that adjoins.
  ByteView words_of(const elf::Phdr& load) const;
  // Section headers that lie in the file.
  std::vector<elf::Shdr> sections() const;
  // Which of them holds their names, if it is one.
  uint64_t names_index() const;
  bool position_independent() const { return header_.type == elf::kTypeDyn; }
  const elf::Phdr* find_header(uint32_t type) const;
  // Of several the last one's value, as loaders have it.
  std::optional<uint64_t> dynamic(int64_t tag) const;
  // ld.so and the like: an entry into code, and neither an interpreter nor a library that it needs.
  bool is_interpreter() const;
  // Started by the kernel, where the heap begins behind it; all else is mapped by ld.so.
  bool is_program() const;

  // The executable segment whose file part holds all `size` bytes, or null.
  const elf::Phdr* code_around(Vaddr address, uint64_t size) const;
  // From an address to the end of its segment's file part; empty where no segment holds it.
  ByteView bytes_from(Vaddr address) const;

  // Every pair `0f 05` of the executable segments, ascending.
  void for_each_pair(const std::function<void(Vaddr)>& visit) const;

  // Where ld.so, or the program itself, writes at start, how many bytes, and the address in this
  // file that it writes there, if it is one.
  using VisitRelocation = std::function<void(uint64_t place, uint64_t size, uint64_t value)>;
  void for_each_relocation(const VisitRelocation& visit) const;
  // How many dynamic symbols there must be at least, for those that relocations name.
  uint64_t symbols_of_relocations() const;
  // Where functions begin, as far as entry point, dynamic segment and symbol tables say.
  std::vector<uint64_t> starts() const;
  // Those that the symbol tables give a size to.
  std::vector<elf::Sym> sized_functions() const;
  // Symbol tables that section headers name, and the one that ld.so reads, if they do not: its hash
  // tables tell how long it is.
  struct SymbolTable {
    ByteView entries;
    bool dynamic;
  };
  std::vector<SymbolTable> symbol_tables() const;
  // Each defined symbol of every table, of whatever type. Those of sections share no bytes.
  void for_each_symbol(const std::function<void(const elf::Sym&)>& visit) const;

 private:
  bool put_back(ByteView kept, const std::vector<Place>& places, Findings& findings);
  bool read_headers(Findings& findings);
  bool add_load(const elf::Phdr& phdr, uint64_t where, Findings& findings);
  bool is_what_it_maps(const elf::Phdr& phdr) const;
  void add_or_join(const elf::Phdr& phdr);
  void read_dynamic();
  bool check_symbol_tables(Findings& findings) const;
  const elf::Phdr* load_of(Vaddr address) const;
  uint64_t value_of_symbol(uint64_t index) const;
  ByteView dynamic_table(int64_t address_tag, int64_t size_tag) const;
  uint64_t count_dynamic_symbols() const;
  ByteView dynamic_symbols() const;
  void for_each_code_symbol(const std::function<void(const elf::Sym&)>& visit) const;

  std::vector<std::byte> bytes_;
  elf::Ehdr header_{};
  std::vector<elf::Phdr> phdrs_, loads_;
  std::vector<elf::Dyn> dynamic_;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_IMAGE_H_
