// Reads what unwind tables are made of, as hostile bytes: after the first read that does not fit,
// good() is false and everything reads as 0.
// Source: DWARF 5, 7.6 "Variable Length Data"; LSB Core 5.0, 10.5.1.
#ifndef SYSREWRITE_REWRITER_DWARF_CURSOR_H_
#define SYSREWRITE_REWRITER_DWARF_CURSOR_H_

#include "trampoline/address.h"
#include "trampoline/bytes.h"

namespace sysrewrite {

// Pointer encodings, LSB Core 5.0, 10.5.1.
inline constexpr uint8_t kPointerOmitted = 0xff, kPointerPcRel = 0x10, kPointerIndirect = 0x80;

// Walks bytes that lie at a known address, so that pc-relative values can be read.
class DwarfCursor {
 public:
  DwarfCursor(ByteView bytes, Vaddr address) : bytes_(bytes), address_(address) {}

  bool good() const { return good_; }
  uint64_t position() const { return position_; }
  Vaddr address() const { return address_ + position_; }
  void skip(uint64_t count) { take(count); }

  template <typename T>
  T read() {
    const auto value = load<T>(bytes_, position_);
    take(sizeof(T));
    return good_ && value ? *value : T{};
  }

  uint64_t read_uleb() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = read<uint8_t>();
      value |= uint64_t{byte & 0x7fU} << shift;
      if ((byte & 0x80) == 0) return value;
    }
    good_ = false;
    return 0;
  }

  int64_t read_sleb() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = read<uint8_t>();
      value |= uint64_t{byte & 0x7fU} << shift;
      if ((byte & 0x80) != 0) continue;
      if ((byte & 0x40) != 0 && shift + 7 < 64) value |= ~uint64_t{0} << (shift + 7);
      return static_cast<int64_t>(value);
    }
    good_ = false;
    return 0;
  }

  // The next bytes as they stand.
  ByteView read_bytes(uint64_t count) {
    const auto bytes = slice(bytes_, position_, count);
    take(count);
    return bytes.value_or(ByteView{});
  }

  bool at_end() const { return position_ >= bytes_.size(); }

  // An encoded pointer. `relative` false reads a length: the same format, no base added.
  uint64_t read_encoded(uint8_t encoding, bool relative) {
    const Vaddr base = address();
    uint64_t value = 0;
    switch (encoding & 0x0f) {
      case 0x00:
      case 0x04:
      case 0x0c:
        value = read<uint64_t>();
        break;
      case 0x01:
        value = read_uleb();
        break;
      case 0x02:
        value = read<uint16_t>();
        break;
      case 0x03:
        value = read<uint32_t>();
        break;
      case 0x0a:
        value = static_cast<uint64_t>(int64_t{read<int16_t>()});
        break;
      case 0x0b:
        value = static_cast<uint64_t>(int64_t{read<int32_t>()});
        break;
      default:
        good_ = false;
    }
    if (!relative) return value;
    if ((encoding & 0x70) == kPointerPcRel) return value + base.value;
    if ((encoding & 0x70) != 0 || (encoding & kPointerIndirect) != 0) good_ = false;
    return value;
  }

 private:
  void take(uint64_t count) {
    if (!range_fits(position_, count, bytes_.size())) {
      good_ = false;
      return;
    }
    position_ += count;
  }

  ByteView bytes_;
  Vaddr address_;
  uint64_t position_ = 0;
  bool good_ = true;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_DWARF_CURSOR_H_
