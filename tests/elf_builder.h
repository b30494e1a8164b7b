// ELF files from literals, small enough to see whole:
//
//     0        ELF header
//     64       program headers
//     ...      each segment at the first free offset that suits its address
//     ...      .symtab, .strtab, .shstrtab and the section headers, where any were asked for
//
// Everything that a test does not say is what a linker would have written, so that a test which
// damages one field damages nothing else.
#ifndef SYSREWRITE_TESTS_ELF_BUILDER_H_
#define SYSREWRITE_TESTS_ELF_BUILDER_H_

#include <optional>
#include <string>
#include <vector>

#include "tests/byte_literals.h"
#include "trampoline/elf_types.h"

namespace sysrewrite::test {

inline constexpr uint64_t kCode = 0x401000;  // where code_file() puts its code

class ElfBuilder {
 public:
  explicit ElfBuilder(uint16_t type = elf::kTypeExec) : type_(type) {}

  ElfBuilder& entry(uint64_t address);
  // A PT_LOAD. `memory_size` 0: as large as the bytes.
  ElfBuilder& segment(uint64_t address, Bytes bytes, uint32_t flags, uint64_t memory_size = 0);
  ElfBuilder& code(uint64_t address, Bytes bytes) {
    return segment(address, std::move(bytes), elf::kFlagRead | elf::kFlagExec);
  }
  ElfBuilder& data(uint64_t address, Bytes bytes, uint64_t memory_size = 0) {
    return segment(address, std::move(bytes), elf::kFlagRead | elf::kFlagWrite, memory_size);
  }
  // A header of any other type over bytes that some segment holds.
  ElfBuilder& header(uint32_t type, uint64_t address, uint64_t size);
  // PT_INTERP, its path in a read-only segment of its own, in front of all others.
  ElfBuilder& interpreter(const std::string& path, uint64_t address = 0x3ff000);
  // PT_DYNAMIC in a data segment of its own; DT_NULL is added.
  ElfBuilder& dynamic(uint64_t address, std::vector<elf::Dyn> entries);
  // A symbol of .symtab, in section 1.
  ElfBuilder& symbol(const std::string& name, uint64_t address, uint64_t size,
                     uint8_t type = elf::kSttFunc);
  // A section over bytes that some segment holds.
  ElfBuilder& section(const std::string& name, uint32_t type, uint64_t flags, uint64_t address,
                      uint64_t size);
  // Bytes behind everything else, which no header knows of.
  ElfBuilder& payload(Bytes bytes);

  Bytes build() const;

 private:
  struct Load {
    uint64_t address, memory_size;
    Bytes bytes;
    uint32_t flags;
  };
  struct Other {
    uint32_t type;
    uint64_t address, size;
  };
  struct Symbol {
    std::string name;
    elf::Sym entry;
  };
  struct Section {
    std::string name;
    elf::Shdr header;
  };

  std::vector<elf::Phdr> lay_out() const;
  void append_sections(Bytes& file, const std::vector<elf::Phdr>& headers) const;

  uint16_t type_;
  std::optional<uint64_t> entry_;
  std::vector<Load> loads_;
  std::vector<Other> others_;
  std::vector<Symbol> symbols_;
  std::vector<Section> sections_;
  Bytes payload_;
};

// A static program of one function `f` that is all of its code, at kCode.
ElfBuilder code_file(Bytes code);

// The file with its first segment from the file's start on, as linkers have it: the headers are in
// memory, and what lies between them and the segment's own bytes is room.
Bytes with_loaded_headers(Bytes file);

// An .eh_frame at `address` with one FDE for each function, each with a CIE of its own kind.
struct Frame {
  uint64_t start, size;
  uint64_t lsda = 0;  // address below 4 GiB; 0: none
  bool signal_frame = false;
};
Bytes eh_frame(uint64_t address, const std::vector<Frame>& frames);
// An .eh_frame_hdr at `address` that points at an .eh_frame, without its search table.
Bytes eh_frame_header(uint64_t address, uint64_t eh_frame_address);

// Where things stand in what build() returns.
inline constexpr uint64_t kPhdrOffset = sizeof(elf::Ehdr);
inline constexpr uint64_t phdr_field(size_t index, size_t field) {
  return kPhdrOffset + index * sizeof(elf::Phdr) + field;
}

// The file with one field replaced.
template <typename T>
Bytes with(Bytes file, uint64_t offset, T value) {
  if (!store(MutableByteView(file), offset, value)) std::abort();
  return file;
}

// The file with the number of its sections and the index of their names in the first header, where
// they stand from 65,280 sections on.
Bytes counted_by_the_null_entry(Bytes file);

}  // namespace sysrewrite::test

#endif  // SYSREWRITE_TESTS_ELF_BUILDER_H_
