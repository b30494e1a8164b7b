// Unwind tables as bytes: one FDE for each run of code whose rows are known, in the form of
// .debug_frame (for debuggers) or of .eh_frame (for the program itself).
//
//   .debug_frame   CIE, FDE...; addresses are absolute and 8 bytes wide
//   .eh_frame      CIE, FDE..., a length of 0; addresses are pc-relative and 4 bytes wide
//
// There is a CIE for signal frames and one for all others, each only where it is used. Whatever the
// input's tables held, there is one way to write a row, so a reader can hold the bytes against it.
#ifndef SYSREWRITE_REWRITER_FRAME_WRITER_H_
#define SYSREWRITE_REWRITER_FRAME_WRITER_H_

#include <optional>
#include <vector>

#include "rewriter/call_frames.h"

namespace sysrewrite {

struct FramePoint {
  uint32_t offset = 0;  // from the start of the code: the row holds from here
  FrameRow row;
};

struct WrittenFrame {
  Vaddr start;
  uint64_t size = 0;  // bytes
  bool signal_frame = false;
  std::vector<FramePoint> points;  // ascending, the first at 0
};

// An entry for the search table of an .eh_frame_hdr.
struct FrameEntryPlace {
  Vaddr start;          // of the code
  uint64_t offset = 0;  // of the FDE, from the first byte written
};

struct FrameTableBytes {
  std::vector<std::byte> bytes;         // a multiple of 8; .eh_frame's end included
  std::vector<FrameEntryPlace> places;  // ascending by start, where the frames did
};

// True where each row of the frame can be written.
bool can_write(const WrittenFrame& frame);

// `offset`: of the first byte in its section, a multiple of 8; `address`: of that byte in memory,
// for .eh_frame. Aborts on frames that can_write() refuses; nothing where a pc-relative address is
// out of reach.
std::optional<FrameTableBytes> write_frames(const std::vector<WrittenFrame>& frames,
                                            FrameStyle style, uint64_t offset, Vaddr address);

void append_uleb(std::vector<std::byte>& out, uint64_t value);
void append_sleb(std::vector<std::byte>& out, int64_t value);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_FRAME_WRITER_H_
