// The section headers of an output whose trampoline is a segment, compared with the original's; and
// what that leads to expect in the segment.
#ifndef SYSREWRITE_REWRITER_VERIFY_SEGMENT_SECTIONS_H_
#define SYSREWRITE_REWRITER_VERIFY_SEGMENT_SECTIONS_H_

#include <vector>

#include "rewriter/verify_symbols.h"

namespace sysrewrite {

// The writable segment between metadata and slot page: zeros, but for what is put there.
class OwnSegment {
 public:
  explicit OwnSegment(const RewrittenFile& file);

  // True where an address lies in the segment and the file offset is the one that belongs to it.
  bool holds(uint64_t address, uint64_t offset, uint64_t size) const;
  // Expects bytes at a file offset. False where that is not the segment's to give.
  bool put(ByteView bytes, uint64_t offset);
  void check(ByteView output, Findings& findings) const;

 private:
  const elf::Phdr segment_;
  const uint64_t from_;  // file offset
  std::vector<std::byte> expected_;
};

struct MovedSection {
  uint64_t was, size, now;  // addresses
};

struct SegmentSections {
  std::vector<MovedSection> moved;
  std::optional<uint64_t> search_table;  // the address of a new .eh_frame_hdr
  uint64_t search_size = 0;              // bytes
};

// Each old section is where it was, or its bytes are expected in the segment; the new ones are
// ours, and names and tables stand behind the stubs.
SegmentSections verify_segment_sections(const Evidenced& in, const std::vector<SiteReading>& sites,
                                        OwnSegment& segment, Findings& findings);

// `count` headers at an offset of a file; none where one of them lies outside.
template <typename T>
std::vector<T> table_of(ByteView file, uint64_t offset, uint64_t count) {
  std::vector<T> table;
  for (uint64_t i = 0; i < count; ++i) {
    const auto at = checked_add(offset, i * sizeof(T));
    const auto entry = at ? load<T>(file, *at) : std::nullopt;
    if (!entry) return {};
    table.push_back(*entry);
  }
  return table;
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_SEGMENT_SECTIONS_H_
