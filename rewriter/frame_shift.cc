// Rows for a stack pointer that has moved: what an expression says of rsp is said of another rsp.
#include "rewriter/call_frames.h"
#include "rewriter/dwarf_cursor.h"
#include "rewriter/frame_writer.h"

namespace sysrewrite {

namespace {

using Kind = RegisterRule::Kind;

// Operands of one operation, as an unwinder's expressions use them; nothing for what names
// registers or addresses in another way, or jumps.
// Source: DWARF 5, 7.7.1, table 7.9.
bool skip_operands(uint8_t code, DwarfCursor& in) {
  switch (code) {
    case 0x08:  // const1u
    case 0x09:
    case 0x15:  // pick
    case 0x94:  // deref_size
      in.skip(1);
      return true;
    case 0x0a:  // const2u
    case 0x0b:
      in.skip(2);
      return true;
    case 0x0c:  // const4u
    case 0x0d:
      in.skip(4);
      return true;
    case 0x03:  // addr
    case 0x0e:  // const8u
    case 0x0f:
      in.skip(8);
      return true;
    case 0x10:  // constu
    case 0x11:
    case 0x23:  // plus_uconst
      in.read_uleb();
      return true;
    case 0x06:  // deref
    case 0x96:  // nop
      return true;
    default:
      break;
  }
  if (code >= 0x70 && code <= 0x8f) {  // breg
    in.read_sleb();
    return true;
  }
  const bool plain = (code >= 0x12 && code <= 0x27) || (code >= 0x29 && code <= 0x2e) ||
                     (code >= 0x30 && code <= 0x4f);
  return plain;
}

std::optional<std::vector<std::byte>> shifted(const std::vector<std::byte>& expression,
                                              int64_t lower) {
  constexpr uint8_t kOfRsp = 0x70 + kFrameRsp;
  DwarfCursor in(expression, {0});
  std::vector<std::byte> out;
  while (!in.at_end()) {
    const uint64_t from = in.position();
    const auto code = in.read<uint8_t>();
    if (code == kOfRsp) {
      out.push_back(std::byte{kOfRsp});
      append_sleb(out, static_cast<int64_t>(static_cast<uint64_t>(in.read_sleb()) +
                                            static_cast<uint64_t>(lower)));
    } else {
      if (!skip_operands(code, in) || !in.good()) return std::nullopt;
      out.insert(out.end(), expression.begin() + static_cast<std::ptrdiff_t>(from),
                 expression.begin() + static_cast<std::ptrdiff_t>(in.position()));
    }
    if (!in.good()) return std::nullopt;
  }
  return out;
}

}  // namespace

std::optional<FrameRow> FrameRow::with_lower_stack(int64_t lower) const {
  FrameRow row = *this;
  if (!cfa_expression.empty()) {
    const auto expression = shifted(cfa_expression, lower);
    if (!expression) return std::nullopt;
    row.cfa_expression = *expression;
  } else if (cfa_register == kFrameRsp) {
    if (__builtin_add_overflow(cfa_offset, lower, &row.cfa_offset)) return std::nullopt;
  }
  for (uint16_t i = 0; i < kFrameRegisters; ++i) {
    RegisterRule& rule = row.registers[i];
    const bool names_rsp = (rule.kind == Kind::kRegister && rule.number == kFrameRsp) ||
                           (rule.kind == Kind::kSameValue && i == kFrameRsp);
    if (names_rsp) return std::nullopt;
    if (rule.kind != Kind::kExpression && rule.kind != Kind::kValExpression) continue;
    const auto expression = shifted(rule.expression, lower);
    if (!expression) return std::nullopt;
    rule.expression = *expression;
  }
  return row;
}

}  // namespace sysrewrite
