#include "rewriter/frame_writer.h"

#include <cstdlib>

namespace sysrewrite {

namespace {

using Kind = RegisterRule::Kind;

constexpr int64_t kDataAlignment = -8;
constexpr uint8_t kPcRelative4 = 0x1b;  // DW_EH_PE_pcrel | DW_EH_PE_sdata4

void append_byte(std::vector<std::byte>& out, uint64_t value) {
  out.push_back(static_cast<std::byte>(value));
}

template <typename T>
void append_value(std::vector<std::byte>& out, T value) {
  const ByteView bytes = as_byte_view(&value, sizeof(value));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void append_block(std::vector<std::byte>& out, const std::vector<std::byte>& block) {
  append_uleb(out, block.size());
  out.insert(out.end(), block.begin(), block.end());
}

// What both CIEs say before any FDE does: the return address lies on top of the stack.
FrameRow first_row() {
  FrameRow row;
  row.cfa_offset = 8;
  row.registers[kFrameReturn] = {Kind::kOffset, -8, {}};
  return row;
}

bool factors(int64_t number) {
  return number % kDataAlignment == 0;
}

// Source: DWARF 5, 7.24, table 7.29.
void append_cfa(std::vector<std::byte>& out, const FrameRow& from, const FrameRow& to) {
  if (!to.cfa_expression.empty()) {
    if (from.cfa_expression == to.cfa_expression) return;
    append_byte(out, 0x0f);  // def_cfa_expression
    return append_block(out, to.cfa_expression);
  }
  const bool same_register = from.cfa_expression.empty() && from.cfa_register == to.cfa_register;
  if (same_register && from.cfa_offset == to.cfa_offset) return;
  if (to.cfa_offset < 0) {
    append_byte(out, 0x12);  // def_cfa_sf
    append_uleb(out, to.cfa_register);
    return append_sleb(out, to.cfa_offset / kDataAlignment);
  }
  append_byte(out, same_register ? 0x0e : 0x0c);  // def_cfa_offset, def_cfa
  if (!same_register) append_uleb(out, to.cfa_register);
  append_uleb(out, static_cast<uint64_t>(to.cfa_offset));
}

void append_rule(std::vector<std::byte>& out, uint16_t which, const RegisterRule& rule) {
  const auto open = [&out, which](uint8_t code) {
    append_byte(out, code);
    append_uleb(out, which);
  };
  switch (rule.kind) {
    case Kind::kUnspecified:
      // For the return address the CIE has said something, and nothing known means undefined.
      if (which != kFrameReturn) return append_byte(out, 0xc0U | which);  // restore
      return open(0x07);
    case Kind::kUndefined:
      return open(0x07);
    case Kind::kSameValue:
      return open(0x08);
    case Kind::kOffset:
      if (rule.number < 0) {
        append_byte(out, 0x80U | which);
        return append_uleb(out, static_cast<uint64_t>(rule.number / kDataAlignment));
      }
      open(0x11);  // offset_extended_sf
      return append_sleb(out, rule.number / kDataAlignment);
    case Kind::kValOffset:
      open(0x15);  // val_offset_sf
      return append_sleb(out, rule.number / kDataAlignment);
    case Kind::kRegister:
      open(0x09);
      return append_uleb(out, static_cast<uint64_t>(rule.number));
    case Kind::kExpression:
      open(0x10);
      return append_block(out, rule.expression);
    case Kind::kValExpression:
      open(0x16);
      return append_block(out, rule.expression);
  }
}

std::vector<std::byte> program_of(const WrittenFrame& frame) {
  std::vector<std::byte> out;
  FrameRow row = first_row();
  uint32_t at = 0;
  for (const FramePoint& point : frame.points) {
    if (point.row == row) continue;
    const uint32_t step = point.offset - at;
    if (step != 0 && step < 0x40) append_byte(out, 0x40 | step);
    if (step >= 0x40) {
      append_byte(out, 0x04);  // advance_loc4
      append_value(out, step);
    }
    at = point.offset;
    append_cfa(out, row, point.row);
    for (uint16_t i = 0; i < kFrameRegisters; ++i)
      if (point.row.registers[i] != row.registers[i]) append_rule(out, i, point.row.registers[i]);
    row = point.row;
  }
  return out;
}

class Writer {
 public:
  Writer(FrameStyle style, uint64_t offset, Vaddr address)
      : eh_(style == FrameStyle::kEhFrame), offset_(offset), address_(address) {}

  void write(const WrittenFrame& frame) {
    const uint64_t common = common_for(frame.signal_frame);
    out_.places.push_back({frame.start, out_.bytes.size()});
    const uint64_t start = open();
    const uint64_t here = out_.bytes.size();
    append_value(out_.bytes, static_cast<uint32_t>(eh_ ? here - common : offset_ + common));
    if (eh_) {
      const auto distance = Rel32::between(address_ + out_.bytes.size(), frame.start);
      reachable_ = reachable_ && distance;
      append_value(out_.bytes, distance ? distance->value : 0);
      append_value(out_.bytes, static_cast<uint32_t>(frame.size));
      append_byte(out_.bytes, 0);  // no augmentation data
    } else {
      append_value(out_.bytes, frame.start.value);
      append_value(out_.bytes, frame.size);
      if (frame.signal_frame) append_byte(out_.bytes, 0);
    }
    const std::vector<std::byte> program = program_of(frame);
    out_.bytes.insert(out_.bytes.end(), program.begin(), program.end());
    close(start);
  }

  std::optional<FrameTableBytes> take() {
    if (!reachable_) return std::nullopt;
    if (eh_) append_value(out_.bytes, uint64_t{0});
    return std::move(out_);
  }

 private:
  // Where the CIE lies, from the first byte written; written here at its first use.
  uint64_t common_for(bool signal_frame) {
    std::optional<uint64_t>& place = commons_[signal_frame ? 1 : 0];
    if (place) return *place;
    place = out_.bytes.size();
    const uint64_t start = open();
    append_value(out_.bytes, eh_ ? 0U : ~0U);
    append_byte(out_.bytes, 1);  // version
    if (eh_ || signal_frame) append_byte(out_.bytes, 'z');
    if (eh_) append_byte(out_.bytes, 'R');
    if (signal_frame) append_byte(out_.bytes, 'S');
    append_byte(out_.bytes, 0);
    append_uleb(out_.bytes, 1);  // code alignment
    append_sleb(out_.bytes, kDataAlignment);
    append_byte(out_.bytes, kFrameReturn);
    if (eh_ || signal_frame) append_uleb(out_.bytes, eh_ ? 1 : 0);
    if (eh_) append_byte(out_.bytes, kPcRelative4);
    append_byte(out_.bytes, 0x0c);  // def_cfa rsp+8
    append_uleb(out_.bytes, kFrameRsp);
    append_uleb(out_.bytes, 8);
    append_byte(out_.bytes, 0x80U | kFrameReturn);  // the return address at cfa-8
    append_uleb(out_.bytes, 1);
    close(start);
    return *place;
  }

  uint64_t open() {
    append_value(out_.bytes, uint32_t{0});
    return out_.bytes.size();
  }

  // Filled up with nops, so that each entry starts at a multiple of 8.
  void close(uint64_t start) {
    while (out_.bytes.size() % 8 != 0) append_byte(out_.bytes, 0);
    const auto length = static_cast<uint32_t>(out_.bytes.size() - start);
    if (!store(MutableByteView(out_.bytes), start - sizeof(length), length)) std::abort();
  }

  bool eh_, reachable_ = true;
  uint64_t offset_;
  Vaddr address_;
  std::optional<uint64_t> commons_[2];
  FrameTableBytes out_;
};

}  // namespace

bool can_write(const WrittenFrame& frame) {
  for (const FramePoint& point : frame.points) {
    if (point.row.cfa_expression.empty() && point.row.cfa_offset < 0 &&
        !factors(point.row.cfa_offset))
      return false;
    for (const RegisterRule& rule : point.row.registers)
      if ((rule.kind == Kind::kOffset || rule.kind == Kind::kValOffset) && !factors(rule.number))
        return false;
  }
  return !frame.points.empty() && frame.points.front().offset == 0;
}

std::optional<FrameTableBytes> write_frames(const std::vector<WrittenFrame>& frames,
                                            FrameStyle style, uint64_t offset, Vaddr address) {
  Writer writer(style, offset, address);
  for (const WrittenFrame& frame : frames) {
    if (!can_write(frame)) std::abort();
    writer.write(frame);
  }
  return writer.take();
}

void append_uleb(std::vector<std::byte>& out, uint64_t value) {
  do {
    const uint64_t rest = value >> 7;
    append_byte(out, (value & 0x7f) | (rest != 0 ? 0x80 : 0));
    value = rest;
  } while (value != 0);
}

void append_sleb(std::vector<std::byte>& out, int64_t value) {
  for (;;) {
    const int64_t rest = value >> 7;
    const auto low = static_cast<uint64_t>(value) & 0x7f;
    const bool last = (rest == 0 && (low & 0x40) == 0) || (rest == -1 && (low & 0x40) != 0);
    append_byte(out, low | (last ? 0 : 0x80));
    if (last) return;
    value = rest;
  }
}

}  // namespace sysrewrite
