#include "rewriter/call_frames.h"

#include <algorithm>

#include "rewriter/dwarf_cursor.h"

namespace sysrewrite {

namespace {

constexpr uint32_t kLongFormat = 0xffffffffU;

struct Common {
  CallFrame frame;  // all but the FDE's own part
  bool has_augmentation_data = false;
};

class TableReader {
 public:
  TableReader(ByteView table, Vaddr address, FrameStyle style)
      : table_(table), address_(address), eh_(style == FrameStyle::kEhFrame) {}

  // The 64-bit format (tables over 4 GiB) is left out.
  std::vector<CallFrame> read() {
    std::vector<CallFrame> frames;
    for (uint64_t offset = 0;;) {
      const auto length = load<uint32_t>(table_, offset);
      if (!length || *length == kLongFormat || (*length == 0 && eh_)) break;
      const auto body = slice(table_, offset + 4, *length);
      if (!body) break;
      if (const auto frame = read_entry(offset, *body)) frames.push_back(*frame);
      offset += 4 + uint64_t{*length};
    }
    return frames;
  }

 private:
  Vaddr body_address(uint64_t offset) const { return address_ + (offset + 4); }

  // In .eh_frame a CIE's id is 0 and an FDE's the distance back to its CIE; in .debug_frame the one
  // is ~0 and the other an offset.
  std::optional<CallFrame> read_entry(uint64_t offset, ByteView body) {
    const auto id = load<uint32_t>(body, 0);
    if (!id || *id == (eh_ ? 0 : kLongFormat)) return std::nullopt;
    if (eh_ && *id > offset + 4) return std::nullopt;
    const Common* common = common_at(eh_ ? offset + 4 - *id : *id);
    if (common == nullptr) return std::nullopt;
    CallFrame frame = common->frame;
    DwarfCursor in(body, body_address(offset));
    in.skip(4);
    frame.start = {in.read_encoded(frame.pointer_encoding, true)};
    frame.size = in.read_encoded(frame.pointer_encoding & 0x0f, false);
    if (common->has_augmentation_data) in.skip(in.read_uleb());
    frame.own_address = in.address();
    if (!in.good() || frame.size == 0 || !checked_add(frame.start.value, frame.size))
      return std::nullopt;
    frame.own = body.subspan(in.position());
    return frame;
  }

  // Consecutive FDEs share a CIE, so the last one read is kept.
  const Common* common_at(uint64_t offset) {
    if (!last_offset_ || *last_offset_ != offset) {
      last_ = read_common(offset);
      last_offset_ = offset;
    }
    return last_ ? &*last_ : nullptr;
  }

  std::optional<Common> read_common(uint64_t offset) const {
    const auto length = load<uint32_t>(table_, offset);
    const auto body = length ? slice(table_, offset + 4, *length) : std::nullopt;
    if (!body) return std::nullopt;
    DwarfCursor in(*body, body_address(offset));
    if (in.read<uint32_t>() != (eh_ ? 0 : kLongFormat)) return std::nullopt;
    const auto version = in.read<uint8_t>();
    char augmentation[8] = {};
    for (size_t i = 0;; ++i) {
      const auto c = in.read<uint8_t>();
      if (!in.good() || i >= sizeof(augmentation)) return std::nullopt;
      if (c == 0) break;
      augmentation[i] = static_cast<char>(c);
    }
    if (version == 4 && (in.read<uint8_t>() != 8 || in.read<uint8_t>() != 0)) return std::nullopt;
    Common common;
    common.frame.code_alignment = in.read_uleb();
    common.frame.data_alignment = in.read_sleb();
    const uint64_t returns = version == 1 ? in.read<uint8_t>() : in.read_uleb();
    if (!in.good() || returns != kFrameReturn) return std::nullopt;
    if (!read_augmentation(augmentation, in, common)) return std::nullopt;
    common.frame.common_address = in.address();
    common.frame.common = body->subspan(in.position());
    return common;
  }

  static bool read_augmentation(const char* letters, DwarfCursor& in, Common& common) {
    if (letters[0] == 0) return true;
    if (letters[0] != 'z') return false;
    common.has_augmentation_data = true;
    const uint64_t size = in.read_uleb();
    const uint64_t start = in.position();
    for (const char* letter = letters + 1; *letter != 0; ++letter) {
      if (*letter == 'R') {
        common.frame.pointer_encoding = in.read<uint8_t>();
      } else if (*letter == 'L') {
        in.read<uint8_t>();
      } else if (*letter == 'P') {
        const auto encoding = in.read<uint8_t>();
        in.read_encoded(encoding & 0x0f, false);
      } else if (*letter == 'S') {
        common.frame.signal_frame = true;
      } else if (*letter != 'B') {
        return false;
      }
    }
    if (!in.good() || in.position() - start > size) return false;
    in.skip(size - (in.position() - start));
    return in.good();
  }

  ByteView table_;
  Vaddr address_;
  bool eh_;
  std::optional<Common> last_;
  std::optional<uint64_t> last_offset_;
};

}  // namespace

CallFrames CallFrames::read(ByteView table, Vaddr address, FrameStyle style) {
  CallFrames out;
  out.frames_ = TableReader(table, address, style).read();
  std::stable_sort(out.frames_.begin(), out.frames_.end(),
                   [](const CallFrame& a, const CallFrame& b) { return a.start < b.start; });
  return out;
}

const CallFrame* CallFrames::covering(Vaddr address) const {
  const auto after =
      std::upper_bound(frames_.begin(), frames_.end(), address,
                       [](Vaddr a, const CallFrame& frame) { return a < frame.start; });
  if (after == frames_.begin()) return nullptr;
  const CallFrame& frame = *(after - 1);
  return address.value - frame.start.value < frame.size ? &frame : nullptr;
}

}  // namespace sysrewrite
