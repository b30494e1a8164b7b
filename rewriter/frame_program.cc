// The programs of unwind tables: a row for each address, made by running CIE and FDE up to it.
#include <algorithm>

#include "rewriter/call_frames.h"
#include "rewriter/dwarf_cursor.h"

namespace sysrewrite {

namespace {

using Kind = RegisterRule::Kind;

class Program {
 public:
  Program(const CallFrame& frame, uint64_t& work_left) : frame_(frame), work_left_(work_left) {}

  std::optional<std::vector<FrameRow>> rows_at(const std::vector<Vaddr>& addresses) {
    at_ = frame_.own.start;
    if (!run(frame_.common.program, frame_.common.program_address, nullptr)) return std::nullopt;
    initial_ = row_;
    at_ = frame_.own.start;
    wanted_ = addresses.begin();
    end_ = addresses.end();
    if (!run(frame_.own.program, frame_.own.program_address, &rows_)) return std::nullopt;
    for (; wanted_ != end_; ++wanted_)
      if (!take_row(rows_)) return std::nullopt;
    return std::move(rows_);
  }

 private:
  static constexpr size_t kDeepest = 64;  // remembered rows; compilers nest them a few deep

  // `rows`: takes those whose addresses the program leaves behind, or null.
  bool run(ByteView bytes, Vaddr address, std::vector<FrameRow>* rows) {
    DwarfCursor in(bytes, address);
    const bool collects = rows != nullptr;
    while (!in.at_end()) {
      if (work_left_ == 0) return false;
      --work_left_;
      const Vaddr before = at_;
      if (!step(in) || !in.good()) return false;
      if (at_ == before) continue;
      if (!collects || at_ < before) return false;
      for (; wanted_ != end_ && *wanted_ < at_; ++wanted_)
        if (!take_row(*rows)) return false;
      if (wanted_ == end_) return true;
    }
    return true;
  }

  // A row is copied with its expressions, one of which may be as long as the table. So a byte of
  // them counts more than an instruction does; ordinary rows have none, or a dozen.
  bool pay_for_copy(uint64_t more) {
    constexpr uint64_t kPerByte = 16;
    uint64_t bytes = row_.cfa_expression.size();
    for (const RegisterRule& rule : row_.registers) bytes += rule.expression.size();
    const uint64_t price = more + bytes * kPerByte;
    const bool affordable = price <= work_left_;
    if (affordable) work_left_ -= price;
    return affordable;
  }

  bool take_row(std::vector<FrameRow>& rows) {
    if (!pay_for_copy(0)) return false;
    rows.push_back(row_);
    return true;
  }

  bool step(DwarfCursor& in) {
    const auto code = in.read<uint8_t>();
    const uint16_t low = code & 0x3f;
    switch (code & 0xc0) {
      case 0x40:
        return advance(low);
      case 0x80:
        return set(low, {Kind::kOffset, factored(in.read_uleb()), {}});
      case 0xc0:
        return restore(low);
      default:
        return step_extended(code, in);
    }
  }

  // Source: DWARF 5, 7.24, table 7.29; 0x2d to 0x2f: LSB Core 5.0, 10.5.2.
  bool step_extended(uint8_t code, DwarfCursor& in) {
    switch (code) {
      case 0x00:  // nop
        return true;
      case 0x01:
        at_ = {in.read_encoded(frame_.common.pointer_encoding, true)};
        return true;
      case 0x02:
        return advance(in.read<uint8_t>());
      case 0x03:
        return advance(in.read<uint16_t>());
      case 0x04:
        return advance(in.read<uint32_t>());
      case 0x05: {
        const uint64_t which = in.read_uleb();
        return set(which, {Kind::kOffset, factored(in.read_uleb()), {}});
      }
      case 0x06:
        return restore(in.read_uleb());
      case 0x07:
        return set(in.read_uleb(), {Kind::kUndefined, 0, {}});
      case 0x08:
        return set(in.read_uleb(), {Kind::kSameValue, 0, {}});
      case 0x09: {
        const uint64_t which = in.read_uleb();
        return set(which, {Kind::kRegister, static_cast<int64_t>(in.read_uleb()), {}});
      }
      case 0x0a:
        return remember();
      case 0x0b:
        return recall();
      default:
        return code <= 0x0f ? step_cfa(code, in) : step_rule(code, in);
    }
  }

  bool step_cfa(uint8_t code, DwarfCursor& in) {
    switch (code) {
      case 0x0c: {
        const uint64_t which = in.read_uleb();
        return define(which, static_cast<int64_t>(in.read_uleb()));
      }
      case 0x0d:
        return row_.cfa_expression.empty() && define(in.read_uleb(), row_.cfa_offset);
      case 0x0e:
        return row_.cfa_expression.empty() &&
               define(row_.cfa_register, static_cast<int64_t>(in.read_uleb()));
      case 0x0f:
        row_.cfa_expression = expression(in);
        return !row_.cfa_expression.empty();
      default:
        return false;
    }
  }

  bool step_rule(uint8_t code, DwarfCursor& in) {
    const auto signed_offset = [&in, this] {
      return factored(static_cast<uint64_t>(in.read_sleb()));
    };
    switch (code) {
      case 0x12: {
        const uint64_t which = in.read_uleb();
        return define(which, signed_offset());
      }
      case 0x13:
        return row_.cfa_expression.empty() && define(row_.cfa_register, signed_offset());
      case 0x2e:  // GNU_args_size: of interest to landing pads alone
        in.read_uleb();
        return true;
      default:
        break;
    }
    const uint64_t which = in.read_uleb();
    switch (code) {
      case 0x10:
        return set(which, {Kind::kExpression, 0, expression(in)});
      case 0x11:
        return set(which, {Kind::kOffset, signed_offset(), {}});
      case 0x14:
        return set(which, {Kind::kValOffset, factored(in.read_uleb()), {}});
      case 0x15:
        return set(which, {Kind::kValOffset, signed_offset(), {}});
      case 0x16:
        return set(which, {Kind::kValExpression, 0, expression(in)});
      case 0x2f:  // GNU_negative_offset_extended
        return set(which, {Kind::kOffset, factored(~in.read_uleb() + 1), {}});
      default:
        return false;
    }
  }

  static std::vector<std::byte> expression(DwarfCursor& in) {
    const ByteView bytes = in.read_bytes(in.read_uleb());
    return {bytes.begin(), bytes.end()};
  }

  int64_t factored(uint64_t number) const {
    return static_cast<int64_t>(number * static_cast<uint64_t>(frame_.common.data_alignment));
  }

  bool advance(uint64_t units) {
    const auto bytes = checked_multiply(units, frame_.common.code_alignment);
    if (!bytes || !checked_add(at_.value, *bytes)) return false;
    at_ = at_ + *bytes;
    return true;
  }

  bool define(uint64_t which, int64_t offset) {
    if (which >= kFrameRegisters) return false;
    row_.cfa_register = static_cast<uint16_t>(which);
    row_.cfa_offset = offset;
    row_.cfa_expression.clear();
    return true;
  }

  bool set(uint64_t which, RegisterRule rule) {
    if (which >= kFrameRegisters) return true;  // vector registers, which nobody unwinds
    row_.registers[which] = std::move(rule);
    return true;
  }

  bool restore(uint64_t which) {
    if (which < kFrameRegisters) row_.registers[which] = initial_.registers[which];
    return true;
  }

  bool remember() {
    if (remembered_.size() == kDeepest || !pay_for_copy(kFrameRegisters)) return false;
    remembered_.push_back(row_);
    return true;
  }

  bool recall() {
    if (remembered_.empty()) return false;
    row_ = std::move(remembered_.back());
    remembered_.pop_back();
    return true;
  }

  const CallFrame& frame_;
  uint64_t& work_left_;
  FrameRow row_, initial_;
  std::vector<FrameRow> remembered_, rows_;
  Vaddr at_;
  std::vector<Vaddr>::const_iterator wanted_, end_;
};

}  // namespace

std::optional<std::vector<FrameRow>> FrameEvaluator::rows_at(const CallFrame& frame,
                                                             const std::vector<Vaddr>& addresses) {
  return Program(frame, work_left_).rows_at(addresses);
}

}  // namespace sysrewrite
