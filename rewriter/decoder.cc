#include "rewriter/decoder.h"

#include <Zydis/Zydis.h>

namespace sysrewrite {

struct Decoder::Impl {
  ZydisDecoder decoder;
  ZydisFormatter formatter;
};

namespace {

Flow flow_of(const ZydisDecodedInstruction& in) {
  const bool relative =
      (in.attributes & ZYDIS_ATTRIB_IS_RELATIVE) != 0 && in.raw.imm[0].is_relative != 0;
  switch (in.meta.category) {
    case ZYDIS_CATEGORY_CALL:
      return Flow::kCall;
    case ZYDIS_CATEGORY_RET:
      return Flow::kReturn;
    case ZYDIS_CATEGORY_COND_BR:
      return Flow::kConditional;
    case ZYDIS_CATEGORY_UNCOND_BR:
      return relative ? Flow::kJump : Flow::kIndirectJump;
    default:
      break;
  }
  switch (in.mnemonic) {
    case ZYDIS_MNEMONIC_INT3:
    case ZYDIS_MNEMONIC_INT1:
    case ZYDIS_MNEMONIC_HLT:
    case ZYDIS_MNEMONIC_UD0:
    case ZYDIS_MNEMONIC_UD1:
    case ZYDIS_MNEMONIC_UD2:
      return Flow::kTrap;
    case ZYDIS_MNEMONIC_SYSRET:
    case ZYDIS_MNEMONIC_SYSEXIT:
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
      return Flow::kReturn;
    case ZYDIS_MNEMONIC_XBEGIN:
      return Flow::kConditional;
    default:
      return Flow::kFallsThrough;
  }
}

Special special_of(const ZydisDecodedInstruction& in) {
  switch (in.mnemonic) {
    case ZYDIS_MNEMONIC_SYSCALL:
      return Special::kSyscall;
    case ZYDIS_MNEMONIC_SYSENTER:
      return Special::kSysenter;
    case ZYDIS_MNEMONIC_INT:
      return in.raw.imm[0].value.u == 0x80 ? Special::kInt80 : Special::kNone;
    case ZYDIS_MNEMONIC_NOP:
      return in.raw.disp.value == 8 || in.raw.disp.value == 512 ? Special::kSled : Special::kNop;
    case ZYDIS_MNEMONIC_INT3:
      return Special::kInt3;
    case ZYDIS_MNEMONIC_ENDBR32:
    case ZYDIS_MNEMONIC_ENDBR64:
      return Special::kEndbr;
    default:
      return Special::kNone;
  }
}

// What compilers and people do not write into user code: privileged, port I/O, far, decimal.
bool unlikely_of(const ZydisDecodedInstruction& in) {
  if ((in.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED) != 0 && in.mnemonic != ZYDIS_MNEMONIC_HLT)
    return true;
  if (in.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) return true;
  switch (in.meta.category) {
    case ZYDIS_CATEGORY_IO:
    case ZYDIS_CATEGORY_IOSTRINGOP:
    case ZYDIS_CATEGORY_SEGOP:
    case ZYDIS_CATEGORY_DECIMAL:
      return true;
    default:
      break;
  }
  switch (in.mnemonic) {
    case ZYDIS_MNEMONIC_ENTER:
    case ZYDIS_MNEMONIC_INT1:
    case ZYDIS_MNEMONIC_XLAT:
    case ZYDIS_MNEMONIC_LOOPE:
    case ZYDIS_MNEMONIC_LOOPNE:
    case ZYDIS_MNEMONIC_CMC:
    case ZYDIS_MNEMONIC_FWAIT:
    case ZYDIS_MNEMONIC_CLI:
    case ZYDIS_MNEMONIC_STI:
    case ZYDIS_MNEMONIC_IRETD:
      return true;
    case ZYDIS_MNEMONIC_INT:
      return in.raw.imm[0].value.u != 0x80;
    default:
      return false;
  }
}

bool moves_stack_of(const ZydisDecodedInstruction& in) {
  switch (in.meta.category) {
    case ZYDIS_CATEGORY_PUSH:
    case ZYDIS_CATEGORY_POP:
      return true;
    default:
      break;
  }
  if (in.mnemonic == ZYDIS_MNEMONIC_LEAVE || in.mnemonic == ZYDIS_MNEMONIC_ENTER) return true;
  const bool has_modrm = (in.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0;
  if (!has_modrm) return false;
  // rsp as the register operand or as a register r/m; reading it is fine but rare enough to give
  // up.
  const bool reg_is_rsp = in.raw.modrm.reg == 4 && in.raw.rex.R == 0;
  const bool rm_is_rsp = in.raw.modrm.mod == 3 && in.raw.modrm.rm == 4 && in.raw.rex.B == 0;
  const bool arithmetic = in.meta.category == ZYDIS_CATEGORY_BINARY ||
                          in.meta.category == ZYDIS_CATEGORY_LOGICAL ||
                          in.meta.category == ZYDIS_CATEGORY_DATAXFER ||
                          in.mnemonic == ZYDIS_MNEMONIC_LEA || in.mnemonic == ZYDIS_MNEMONIC_XCHG;
  return arithmetic && (reg_is_rsp || rm_is_rsp);
}

bool zeros_of(const ZydisDecodedInstruction& in) {
  return in.length == 2 && in.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && in.opcode == 0 &&
         in.raw.modrm.mod == 0 && in.raw.modrm.reg == 0 && in.raw.modrm.rm == 0;
}

bool writes_rax_of(const ZydisDecodedInstruction& in) {
  const uint8_t opcode = in.opcode;
  if (in.opcode_map == ZYDIS_OPCODE_MAP_0F) {
    // cmovcc, imul, movzx and movsx; the rest of the map is nops and vectors
    const bool into_register = (opcode & 0xf0) == 0x40 || opcode == 0xaf ||
                               (opcode & 0xfe) == 0xb6 || (opcode & 0xfe) == 0xbe;
    return into_register && in.raw.modrm.reg == 0 && in.raw.rex.R == 0;
  }
  if (in.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) return false;
  if (opcode == 0xb8 || opcode == 0xb0 || opcode == 0x58) return in.raw.rex.B == 0;
  if (opcode == 0x05 || opcode == 0x2d || opcode == 0x0d || opcode == 0x25 || opcode == 0x35)
    return true;
  const bool has_modrm = (in.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0;
  if (!has_modrm) return false;
  const bool rm_is_rax = in.raw.modrm.mod == 3 && in.raw.modrm.rm == 0 && in.raw.rex.B == 0;
  const bool reg_is_rax = in.raw.modrm.reg == 0 && in.raw.rex.R == 0;
  switch (opcode) {
    case 0x88:
    case 0x89:
    case 0x31:
    case 0x29:
    case 0x01:
    case 0x09:
    case 0x21:
    case 0xc7:
    case 0x83:
    case 0x81:
      return rm_is_rax;
    case 0x8a:
    case 0x8b:
    case 0x8d:
    case 0x63:
    case 0x33:
    case 0x2b:
    case 0x03:
    case 0x0b:
    case 0x23:
    case 0x69:
    case 0x6b:
      return reg_is_rax;
    default:
      return false;
  }
}

// mov $imm, %eax in its two forms, and xor %eax, %eax.
int32_t rax_value_of(const ZydisDecodedInstruction& in) {
  constexpr uint64_t kMost = INT32_MAX;
  if (!writes_rax_of(in) || in.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) return -1;
  const bool immediate = in.opcode == 0xb8 || in.opcode == 0xc7;
  if (immediate && in.raw.imm[0].value.u <= kMost)
    return static_cast<int32_t>(in.raw.imm[0].value.u);
  const bool clears = (in.opcode == 0x31 || in.opcode == 0x33) && in.raw.modrm.mod == 3 &&
                      in.raw.modrm.reg == 0 && in.raw.modrm.rm == 0;
  return clears ? 0 : -1;
}

bool widens_rax_of(const ZydisDecodedInstruction& in) {
  const bool zero_extends =
      in.opcode_map == ZYDIS_OPCODE_MAP_0F && (in.opcode == 0xb6 || in.opcode == 0xb7);
  return zero_extends && writes_rax_of(in) && in.raw.modrm.mod == 3 && in.raw.modrm.rm == 0 &&
         in.raw.rex.B == 0;
}

bool passes_fourth_of(const ZydisDecodedInstruction& in) {
  if (in.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT || in.raw.rex.W == 0 || in.raw.modrm.mod != 3)
    return false;
  constexpr uint8_t kLow = 10 & 7;
  return (in.opcode == 0x89 && in.raw.modrm.rm == kLow && in.raw.rex.B == 1) ||
         (in.opcode == 0x8b && in.raw.modrm.reg == kLow && in.raw.rex.R == 1);
}

bool has_rip_operand(const ZydisDecodedInstruction& in) {
  return (in.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0 && in.raw.modrm.mod == 0 &&
         in.raw.modrm.rm == 5 && in.raw.disp.size == 32;
}

// Leaves the address that it runs at behind, where a program can read it: x87 instructions do, for
// fnstenv and fxsave, but for those that control the unit; entering an enclave puts the address
// behind itself into rcx; AMD's lightweight profiling writes records of it.
// Source: Intel SDM volume 1, 8.1.8 "x87 FPU Instruction and Data (Operand) Pointers".
bool records_address(const ZydisDecodedInstruction& in) {
  switch (in.mnemonic) {
    case ZYDIS_MNEMONIC_FLDCW:
    case ZYDIS_MNEMONIC_FLDENV:
    case ZYDIS_MNEMONIC_FNCLEX:
    case ZYDIS_MNEMONIC_FNINIT:
    case ZYDIS_MNEMONIC_FNSAVE:
    case ZYDIS_MNEMONIC_FNSTCW:
    case ZYDIS_MNEMONIC_FNSTENV:
    case ZYDIS_MNEMONIC_FNSTSW:
    case ZYDIS_MNEMONIC_FRSTOR:
      return false;
    case ZYDIS_MNEMONIC_ENCLU:
    case ZYDIS_MNEMONIC_LWPINS:
    case ZYDIS_MNEMONIC_LWPVAL:
      return true;
    default:
      return in.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (in.opcode & 0xf8) == 0xd8;
  }
}

// An address fits into these, and is none where it is a distance.
std::array<uint8_t, 2> constants_of(const ZydisDecodedInstruction& in) {
  constexpr unsigned kAddress = 32;  // bits
  const auto& [disp, imm] = std::tie(in.raw.disp, in.raw.imm[0]);
  const bool absolute = disp.size >= kAddress && !has_rip_operand(in);
  const bool immediate = imm.size >= kAddress && !imm.is_relative;
  return {absolute ? disp.offset : uint8_t{0}, immediate ? imm.offset : uint8_t{0}};
}

Instruction describe(const ZydisDecodedInstruction& in, Vaddr address) {
  Instruction out;
  out.address = address;
  out.length = in.length;
  out.prefixes = in.raw.prefix_count;  // REX included
  out.constants = constants_of(in);
  out.flow = flow_of(in);
  out.special = special_of(in);
  out.unlikely = unlikely_of(in);
  out.zeros = zeros_of(in);
  out.moves_stack = moves_stack_of(in);
  out.writes_rax = writes_rax_of(in);
  out.rax_value = rax_value_of(in);
  out.widens_rax = widens_rax_of(in);
  out.passes_fourth = passes_fourth_of(in);
  out.constant_al =
      out.writes_rax && in.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && in.opcode == 0xb0;
  const Vaddr end = address + in.length;
  if (in.raw.imm[0].is_relative) {
    out.direct = true;
    out.target = end + static_cast<uint64_t>(in.raw.imm[0].value.s);
  } else if (has_rip_operand(in)) {
    out.displacement = in.raw.disp.offset;
    out.target = end + static_cast<uint64_t>(in.raw.disp.value);
    out.takes_address = in.mnemonic == ZYDIS_MNEMONIC_LEA;
  }
  const bool eip_relative = out.rip_relative() && in.address_width != 64;
  out.movable = out.flow == Flow::kFallsThrough && !out.direct && !eip_relative &&
                !records_address(in) &&
                (out.special == Special::kNone || out.special == Special::kNop) &&
                in.meta.category != ZYDIS_CATEGORY_INTERRUPT &&
                in.meta.category != ZYDIS_CATEGORY_SYSTEM && !out.unlikely;
  return out;
}

}  // namespace

Decoder::Decoder() : impl_(std::make_unique<Impl>()) {
  ZydisDecoderInit(&impl_->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  // endbr64 and the wide nops are what the compiler means by these bytes, on every processor.
  ZydisDecoderEnableMode(&impl_->decoder, ZYDIS_DECODER_MODE_CET, ZYAN_TRUE);
  ZydisFormatterInit(&impl_->formatter, ZYDIS_FORMATTER_STYLE_ATT);
  // Addresses as objdump prints them: 0x401000, not 0x0000000000401000 or 0X.
  ZydisFormatterSetProperty(&impl_->formatter, ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE,
                            ZYDIS_PADDING_DISABLED);
  ZydisFormatterSetProperty(&impl_->formatter, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE);
}

Decoder::~Decoder() = default;

std::optional<Instruction> Decoder::decode(ByteView bytes, Vaddr address) const {
  ZydisDecodedInstruction in;
  if (!ZYAN_SUCCESS(
          ZydisDecoderDecodeInstruction(&impl_->decoder, nullptr, bytes.data(), bytes.size(), &in)))
    return std::nullopt;
  return describe(in, address);
}

uint64_t Decoder::accessed_bytes(ByteView bytes) const {
  ZydisDecodedInstruction in;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  if (!ZYAN_SUCCESS(
          ZydisDecoderDecodeFull(&impl_->decoder, bytes.data(), bytes.size(), &in, operands)) ||
      !has_rip_operand(in) || in.mnemonic == ZYDIS_MNEMONIC_NOP)
    return 0;
  for (const ZydisDecodedOperand& operand : operands) {
    if (&operand == operands + in.operand_count) break;
    const bool is_memory =
        operand.type == ZYDIS_OPERAND_TYPE_MEMORY && operand.mem.type == ZYDIS_MEMOP_TYPE_MEM &&
        operand.mem.base == (in.address_width == 64 ? ZYDIS_REGISTER_RIP : ZYDIS_REGISTER_EIP);
    if (!is_memory) continue;
    const uint64_t size = operand.size / 8;
    return size == 0 ? kWidestAccess : std::min(size, kWidestAccess);
  }
  return 0;
}

std::optional<Step> Decoder::step(ByteView bytes) const {
  if (const auto common = common_step(bytes)) return common;
  const auto in = decode(bytes, {0});
  if (!in) return std::nullopt;
  Step step{in->length, in->falls_through(), in->direct, 0, in->flow == Flow::kIndirectJump};
  if (in->direct) step.distance = static_cast<int32_t>(in->target - in->end());
  return step;
}

std::vector<Instruction> Decoder::decode_all(ByteView bytes, Vaddr address) const {
  std::vector<Instruction> all;
  while (!bytes.empty()) {
    const auto in = decode(bytes, address);
    if (!in) break;
    all.push_back(*in);
    bytes = bytes.subspan(in->length);
    address = in->end();
  }
  return all;
}

std::string Decoder::format(ByteView bytes, Vaddr address) const {
  ZydisDecodedInstruction in;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  char text[256];
  if (!ZYAN_SUCCESS(
          ZydisDecoderDecodeFull(&impl_->decoder, bytes.data(), bytes.size(), &in, operands)))
    return "(bad)";
  if (!ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&impl_->formatter, &in, operands,
                                                    in.operand_count_visible, text, sizeof(text),
                                                    address.value, nullptr)))
    return "(bad)";
  return text;
}

}  // namespace sysrewrite
