// Reads the entries of an unwind table: which code each FDE covers, and what it and its CIE say.
// Sources: LSB Core 5.0, 10.6 (.eh_frame); DWARF 5, 6.4.1 (.debug_frame).
#ifndef SYSREWRITE_REWRITER_FRAME_TABLE_H_
#define SYSREWRITE_REWRITER_FRAME_TABLE_H_

#include <functional>
#include <optional>

#include "rewriter/dwarf_cursor.h"

namespace sysrewrite {

// The kinds of table: they tell a CIE from an FDE, and name an FDE's CIE, each in its own way.
enum class FrameStyle : uint8_t { kEhFrame, kDebugFrame };

struct FrameTable {
  ByteView bytes;
  Vaddr address;  // of bytes[0]; a .debug_frame has none
};

// Where a pointer stands, and what it points at; where the encoding says "indirect", at a word that
// holds the address.
struct FramePointer {
  Vaddr at;
  Vaddr target;
  uint8_t encoding = 0;
};

// What a CIE says for all its FDEs.
struct FrameCommon {
  Vaddr entry;  // of the CIE's first byte
  uint64_t code_alignment = 1;
  int64_t data_alignment = 1;
  uint64_t return_register = 0;
  uint8_t pointer_encoding = 0;
  uint8_t lsda_encoding = kPointerOmitted;
  bool has_augmentation_data = false;
  bool signal_frame = false;
  std::optional<FramePointer> personality;
  ByteView program;
  Vaddr program_address;
};

struct FrameDescription {
  Vaddr entry;        // of the FDE's first byte
  Vaddr start;        // of the code
  Vaddr start_at;     // where `start` stands, in FrameCommon::pointer_encoding
  uint64_t size = 0;  // not 0, and the end fits 64 bits
  std::optional<FramePointer> lsda;
  ByteView program;
  Vaddr program_address;
};

struct FrameTableEnd {
  uint64_t entries_size = 0;  // bytes from the table's start, its end mark not among them
  bool whole = true;          // every entry up to there was understood
};

// Visits the FDEs that parse, in the table's order. The 64-bit format (tables over 4 GiB) is left
// out.
FrameTableEnd for_each_frame(
    const FrameTable& table, FrameStyle style,
    const std::function<void(const FrameCommon& common, const FrameDescription& frame)>& visit);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_FRAME_TABLE_H_
