// An executable's headers, checked: what has to be known before any of it is mapped.
#ifndef SYSREWRITE_LOADER_START_ELF_IMAGE_H_
#define SYSREWRITE_LOADER_START_ELF_IMAGE_H_

#include <cstdint>

#include "trampoline/address.h"
#include "trampoline/bytes.h"
#include "trampoline/elf_types.h"

namespace sysrewrite {

class ProgramFile;

// What the kernel notes of a program's segments and shows in /proc/PID/stat.
struct SegmentBounds {
  uint64_t start_code, end_code, start_data, end_data;
};

class ElfImage {
 public:
  // Reads the headers; the file's bytes must outlive the image. Ends the process with a line that
  // names `phase` and the file where this is no x86-64 executable.
  static ElfImage read(const char* phase, const ProgramFile& file);

  // Checks every PT_LOAD as far as mapping it relies on it, and ends the process where one does not
  // hold: ascending, apart from each other, inside the file and the address space.
  void check_segments(const char* phase, const ProgramFile& file) const;

  // Likewise the entry point, which must lie in the image. That of a library may be any number:
  // nobody goes there.
  void check_entry(const char* phase, const ProgramFile& file) const;

  bool has_fixed_address() const { return header_.type == elf::kTypeExec; }
  Vaddr entry() const { return {header_.entry}; }
  ByteView bytes() const { return bytes_; }
  uint32_t header_count() const { return header_.phnum; }
  elf::Phdr header(uint32_t index) const;  // index below header_count()
  uint64_t header_offset() const { return header_.phoff; }

  Vaddr low() const { return low_; }                 // of the first segment, rounded down to a page
  Vaddr high() const { return high_; }               // of the last segment's end, rounded up
  uint64_t alignment() const { return alignment_; }  // the largest p_align, at least a page

  // Where the segment with this file offset maps it; false where none holds all `size` bytes.
  bool vaddr_of(FileOffset offset, uint64_t size, elf::Phdr* segment, Vaddr* vaddr) const;
  // PT_GNU_STACK with PF_X. Where the header is missing, Linux 5.8 and later give no such stack.
  bool wants_executable_stack() const;
  // Of the segments that begin in the first `size` bytes of the file: behind the input stands what
  // a rewrite has appended.
  SegmentBounds bounds(uint64_t bias, uint64_t size) const;

 private:
  ByteView bytes_;
  uint64_t file_size_ = 0;
  elf::Ehdr header_{};
  Vaddr low_, high_;
  uint64_t alignment_ = kPageSize;

  void measure();
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_START_ELF_IMAGE_H_
