// The reader that stands between hostile bytes and everything else: what it accepts can be used
// without further checks of the headers.
#ifndef SYSREWRITE_REWRITER_ELF_IMAGE_H_
#define SYSREWRITE_REWRITER_ELF_IMAGE_H_

#include <optional>
#include <string>
#include <vector>

#include "rewriter/result.h"
#include "trampoline/address.h"
#include "trampoline/bytes.h"
#include "trampoline/elf_types.h"

namespace sysrewrite {

// One PT_LOAD, or several that adjoin. Accepted ones ascend, do not overlap, and their file part
// lies inside the file.
struct Segment {
  Vaddr vaddr;
  uint64_t memory_size = 0;
  FileOffset offset;
  uint64_t file_size = 0;
  uint32_t flags = 0;

  bool executable() const { return (flags & elf::kFlagExec) != 0; }
  bool holds(Vaddr address, uint64_t size = 1) const {
    return address >= vaddr && range_fits(address.value - vaddr.value, size, file_size);
  }
};

enum class ImageKind {
  kStaticExecutable,   // ET_EXEC or static-PIE, no interpreter
  kDynamicExecutable,  // has an interpreter
  kSharedObject,       // a library; also those that can be executed (libc.so.6)
  kInterpreter,        // ld.so: a library that the kernel starts, without one of its own
};

class ElfImage {
 public:
  // Accepts 64-bit little-endian x86-64 ET_EXEC and ET_DYN files; refuses everything else, and
  // headers that contradict themselves, with the reason. Section headers that do not hold are
  // ignored (has_sections() is false then), since nothing that runs needs them; symbol tables and
  // the like that share bytes are refused (read_once.h).
  // `bytes` must outlive the image.
  static Result<ElfImage> parse(ByteView bytes);

  ByteView bytes() const { return bytes_; }
  const elf::Ehdr& header() const { return header_; }
  const std::vector<elf::Phdr>& program_headers() const { return phdrs_; }
  const std::vector<elf::Shdr>& sections() const { return sections_; }
  // True where the first of them holds their number or the index of their names, as it does from
  // 65,280 on. Source: gABI "ELF Header", e_shnum and e_shstrndx.
  bool counts_sections_elsewhere() const {
    return !sections_.empty() && (header_.shnum == 0 || header_.shstrndx == elf::kShnXIndex);
  }
  // Two of code that adjoin, in memory and in the file, are one, as they are to whoever runs there.
  const std::vector<Segment>& segments() const { return segments_; }
  // Where two were made one, ascending. A patch lies within one of them, as its record does.
  const std::vector<uint64_t>& seams() const { return seams_; }
  bool crosses_seam(Vaddr from, Vaddr to) const;
  // What some 64 bits that begin in a segment's file part can have of the one that adjoins, too.
  ByteView words_of(const Segment& segment) const;
  ImageKind kind() const { return kind_; }
  // Mapped by ld.so, or by the kernel as somebody's interpreter: behind it there is no heap.
  bool is_library() const {
    return kind_ == ImageKind::kSharedObject || kind_ == ImageKind::kInterpreter;
  }
  bool position_independent() const { return header_.type == elf::kTypeDyn; }

  // The first program header of a type, or null.
  const elf::Phdr* find_header(uint32_t type) const;
  // PT_INTERP's bytes with the NUL, where there is one.
  std::optional<ByteView> interpreter() const;
  // A dynamic entry's value; of several the last one's, as the loaders of glibc and musl have it.
  std::optional<uint64_t> dynamic(int64_t tag) const;
  std::string section_name(const elf::Shdr& section) const;

  // True where section headers exist and say that the address holds no code. Headers that do not
  // even put the entry point into code are not believed.
  bool outside_code_sections(Vaddr address) const;

  // Where an address stands in the file, for ranges that lie in one segment's file part.
  std::optional<FileOffset> offset_of(Vaddr address, uint64_t size = 1) const;
  // The bytes of the image from an address to the end of its segment's file part.
  std::optional<ByteView> bytes_from(Vaddr address) const;
  const Segment* executable_segment_of(Vaddr address) const;

  // Lowest address of a segment, and the end of the highest (with bss).
  Vaddr lowest() const;
  Vaddr highest_end() const;
  // Bytes that no segment, section or header accounts for, behind all that do.
  std::optional<FileOffset> payload() const;

 private:
  ByteView bytes_;
  elf::Ehdr header_{};
  std::vector<elf::Phdr> phdrs_;
  std::vector<elf::Shdr> sections_;
  uint32_t names_index_ = 0;  // in sections_, if it is one's
  std::vector<Segment> segments_;
  std::vector<uint64_t> seams_;
  std::vector<elf::Dyn> dynamic_;
  struct CodeSection {
    uint64_t start, reach;  // the highest end of it and of those in front
  };
  std::vector<CodeSection> code_sections_;  // ascending; empty: nothing to believe
  ImageKind kind_ = ImageKind::kSharedObject;

  friend class ImageReader;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_ELF_IMAGE_H_
