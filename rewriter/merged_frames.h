// --embed=segment: the program's .eh_frame once more, with the stubs' FDEs behind its own, and a
// search table (.eh_frame_hdr) over both. Unwinders read one table of each object, so there is no
// adding to the old one where it stands.
//
//   .eh_frame      +------------------------------------+
//                  | the input's entries                |  as they are, pc-relative pointers moved
//                  | CIEs, an FDE for each stub         |
//                  | a length of 0                      |
//   .eh_frame_hdr  +------------------------------------+  only where the input has one
//                  | version 1, encodings, .eh_frame    |
//                  | count, {code, FDE}...              |  ascending by code
//                  +------------------------------------+
//
// Source: LSB Core 5.0, 10.6 and 10.7.
#ifndef SYSREWRITE_REWRITER_MERGED_FRAMES_H_
#define SYSREWRITE_REWRITER_MERGED_FRAMES_H_

#include <optional>
#include <vector>

#include "rewriter/elf_image.h"
#include "rewriter/frame_table.h"
#include "rewriter/frame_writer.h"

namespace sysrewrite {

// What a moved table is known by in the section headers, and what it is made of.
struct OldFrames {
  std::optional<size_t> section, search_section;  // indices; nothing: the input has none
  FrameTable table;                               // to the end of the section
  uint64_t entries_size = 0;                      // bytes, without the end mark
};

class MergedFrames {
 public:
  // Nothing where the input's table cannot lie anywhere in [low, high): it is not understood to the
  // last entry, a pointer in it would not reach, or the dynamic linker relocates it.
  static std::optional<MergedFrames> plan(const ElfImage& image, Vaddr low, Vaddr high);

  // Bytes that both tables will not exceed with so many stubs.
  uint64_t bound(size_t stubs) const;

  // The frames that are added, as if the trampoline lay at `trampoline`. False where there are
  // none, or where they outgrow bound(): nothing needs to be moved then.
  bool add(std::vector<WrittenFrame> stubs, Vaddr trampoline);

  const OldFrames& old() const { return old_; }
  // Bytes of each, multiples of 4; search_size() is 0 where there is no search table.
  uint64_t table_size() const { return table_size_; }
  uint64_t search_size() const;

  // Both tables, one behind the other, with `at` the address of the first byte. Once add() was
  // true.
  std::vector<std::byte> build(Vaddr at, Vaddr trampoline) const;

 private:
  // A pointer to somewhere else than this table, as many bytes wide.
  struct Pointer {
    uint64_t offset = 0;
    uint8_t width = 0;
  };

  class Planner;

  OldFrames old_;
  std::vector<Pointer> pointers_;        // pc-relative
  std::vector<FrameEntryPlace> places_;  // of the input's FDEs
  std::vector<WrittenFrame> stubs_;
  Vaddr trampoline_;
  uint64_t table_size_ = 0;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_MERGED_FRAMES_H_
