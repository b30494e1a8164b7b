#include "rewriter/frame_table.h"

namespace sysrewrite {

namespace {

constexpr uint32_t kLongFormat = 0xffffffffU;

class TableReader {
 public:
  TableReader(const FrameTable& table, FrameStyle style)
      : table_(table), eh_(style == FrameStyle::kEhFrame) {}

  template <typename Visit>
  FrameTableEnd read(const Visit& visit) {
    FrameTableEnd end;
    for (uint64_t& offset = end.entries_size;;) {
      const auto length = load<uint32_t>(table_.bytes, offset);
      if (!length || (*length == 0 && eh_)) break;
      const auto body = slice(table_.bytes, offset + 4, *length);
      if (*length == kLongFormat || !body) {
        end.whole = false;
        break;
      }
      end.whole &= read_entry(offset, *body, visit);
      offset += 4 + uint64_t{*length};
    }
    return end;
  }

 private:
  DwarfCursor cursor(uint64_t offset, ByteView body) const {
    return {body, table_.address + (offset + 4)};
  }

  // In .eh_frame a CIE's id is 0 and an FDE's the distance back to its CIE; in .debug_frame the one
  // is ~0 and the other an offset.
  template <typename Visit>
  bool read_entry(uint64_t offset, ByteView body, const Visit& visit) {
    const auto id = load<uint32_t>(body, 0);
    if (!id) return false;
    if (*id == (eh_ ? 0 : kLongFormat)) return true;
    if (eh_ && *id > offset + 4) return false;
    const FrameCommon* common = common_at(eh_ ? offset + 4 - *id : *id);
    if (common == nullptr) return false;
    DwarfCursor in = cursor(offset, body);
    in.skip(4);
    FrameDescription frame;
    frame.entry = table_.address + offset;
    frame.start_at = in.address();
    frame.start = {in.read_encoded(common->pointer_encoding, true)};
    frame.size = in.read_encoded(common->pointer_encoding & 0x0f, false);
    if (common->has_augmentation_data) read_augmentation(*common, in, frame);
    if (!in.good() || frame.size == 0 || !checked_add(frame.start.value, frame.size)) return false;
    frame.program_address = in.address();
    frame.program = body.subspan(in.position());
    visit(*common, frame);
    return true;
  }

  static void read_augmentation(const FrameCommon& common, DwarfCursor& in,
                                FrameDescription& frame) {
    const uint64_t size = in.read_uleb();
    const uint64_t start = in.position();
    if (common.lsda_encoding != kPointerOmitted && size >= 4) {
      const Vaddr at = in.address();
      const Vaddr lsda{in.read_encoded(common.lsda_encoding, true)};
      // 0 on file means: none.
      if (lsda != at && lsda.value != 0) frame.lsda = {at, lsda, common.lsda_encoding};
    }
    skip_rest(in, start, size);
  }

  static void skip_rest(DwarfCursor& in, uint64_t start, uint64_t size) {
    const uint64_t used = in.position() - start;
    in.skip(used <= size ? size - used : ~uint64_t{0});
  }

  // Consecutive FDEs share a CIE, so the last one read is kept.
  const FrameCommon* common_at(uint64_t offset) {
    if (!last_offset_ || *last_offset_ != offset) {
      last_ = read_common(offset);
      last_offset_ = offset;
    }
    return last_ ? &*last_ : nullptr;
  }

  std::optional<FrameCommon> read_common(uint64_t offset) const {
    const auto length = load<uint32_t>(table_.bytes, offset);
    const auto body = length ? slice(table_.bytes, offset + 4, *length) : std::nullopt;
    if (!body) return std::nullopt;
    DwarfCursor in = cursor(offset, *body);
    if (in.read<uint32_t>() != (eh_ ? 0 : kLongFormat)) return std::nullopt;
    const auto version = in.read<uint8_t>();
    char letters[8] = {};
    for (size_t i = 0;; ++i) {
      const auto c = in.read<uint8_t>();
      if (!in.good() || i >= sizeof(letters)) return std::nullopt;
      if (c == 0) break;
      letters[i] = static_cast<char>(c);
    }
    // Version 4 says how large addresses and segment selectors are.
    if (version == 4 && (in.read<uint8_t>() != 8 || in.read<uint8_t>() != 0)) return std::nullopt;
    FrameCommon common;
    common.entry = table_.address + offset;
    common.code_alignment = in.read_uleb();
    common.data_alignment = in.read_sleb();
    common.return_register = version == 1 ? in.read<uint8_t>() : in.read_uleb();
    if (!read_augmentation(letters, in, common) || !in.good()) return std::nullopt;
    common.program_address = in.address();
    common.program = body->subspan(in.position());
    return common;
  }

  // Without a 'z' in front nobody can tell how long what follows is.
  static bool read_augmentation(const char* letters, DwarfCursor& in, FrameCommon& common) {
    if (letters[0] == 0) return true;
    if (letters[0] != 'z') return false;
    common.has_augmentation_data = true;
    const uint64_t size = in.read_uleb();
    const uint64_t start = in.position();
    for (const char* letter = letters + 1; *letter != 0; ++letter) {
      if (*letter == 'R') {
        common.pointer_encoding = in.read<uint8_t>();
      } else if (*letter == 'L') {
        common.lsda_encoding = in.read<uint8_t>();
      } else if (*letter == 'P') {
        const auto encoding = in.read<uint8_t>();
        const Vaddr at = in.address();
        const bool relative = (encoding & 0x70) == kPointerPcRel;
        const Vaddr target{in.read_encoded(encoding & (relative ? 0x1f : 0x0f), relative)};
        common.personality = {at, target, encoding};
      } else if (*letter == 'S') {
        common.signal_frame = true;
      } else if (*letter != 'B') {
        return false;
      }
    }
    skip_rest(in, start, size);
    return in.good();
  }

  const FrameTable& table_;
  bool eh_;
  std::optional<FrameCommon> last_;
  std::optional<uint64_t> last_offset_;
};

}  // namespace

FrameTableEnd for_each_frame(
    const FrameTable& table, FrameStyle style,
    const std::function<void(const FrameCommon& common, const FrameDescription& frame)>& visit) {
  return TableReader(table, style).read(visit);
}

}  // namespace sysrewrite
