#include "rewriter/step.h"

#include <array>
#include <string_view>

namespace sysrewrite {

namespace {

// What follows an opcode, a letter for each of them. Source: Intel SDM vol. 2, appendix A.
//
//   .  not in this table            n  nothing
//   m  ModRM                        b  ModRM, imm8         z  ModRM, imm16 or imm32
//   i  imm8                         w  imm16 or imm32      q  imm16, imm32 or imm64 (mov)
//   l  ModRM of memory (lea)        0  as b, and          9  as z, where ModRM's reg is 0
//   t  ModRM, and imm8 where        T  the same with imm16 or imm32 (test)
//      reg is 0 or 1                1  ModRM, where reg is 0 or 1 (inc, dec)
//   g  group 5: inc, dec, call, jmp, push
//   c  jcc rel8    C  jcc rel32     j  jmp rel8   J  jmp rel32   k  call rel32
//   r  ret         x  int3
// clang-format off
constexpr std::string_view kOneByte =
    // 0123456789abcdef
    "mmmmiw..mmmmiw.."  // 0
    "mmmmiw..mmmmiw.."  // 1
    "mmmmiw..mmmmiw.."  // 2
    "mmmmiw..mmmmiw.."  // 3
    "................"  // 4: REX
    "nnnnnnnnnnnnnnnn"  // 5
    "...m....wzib...."  // 6
    "cccccccccccccccc"  // 7
    "bz.bmmmmmmmm.l.."  // 8
    "nnnnnnnnnn......"  // 9
    "....nnnniwnnnnnn"  // a
    "iiiiiiiiqqqqqqqq"  // b
    "bb.r..09.n..x..."  // c
    "mmmm............"  // d
    "........kJ.j...."  // e
    "......tT......1g";  // f

constexpr std::string_view kTwoByte =  // behind 0F
    "................"  // 0
    "mmm.mmm........m"  // 1
    "........mmm.mmmm"  // 2
    "................"  // 3
    "mmmmmmmmmmmmmmmm"  // 4
    ".m..mmmmmmm.mmmm"  // 5
    "mmmmmmmmmmmmmmmm"  // 6
    "b...mmm.......mm"  // 7
    "CCCCCCCCCCCCCCCC"  // 8
    "mmmmmmmmmmmmmmmm"  // 9
    "...mbm.....mbm.m"  // a
    "mm.m..mmm..mmmmm"  // b
    "mmb...b.nnnnnnnn"  // c
    ".mmmmmm.mmmmmmmm"  // d
    "mmmmmm..mmmmmmmm"  // e
    ".mmmmmm.mmmmmmm.";  // f

// The prefixes with which an opcode behind 0F is an instruction, as a sum of: 1 none, 2 operand
// size (66), 4 F3, 8 F2.
constexpr std::string_view kTwoBytePrefixes =
    "................"  // 0
    "ff1.331........3"  // 1
    "........33f.ff33"  // 2
    "................"  // 3
    "3333333333333333"  // 4
    ".f..3333fff.ffff"  // 5
    "3333333333332237"  // 6
    "f...333.......77"  // 7
    "1111111111111111"  // 8
    "1111111111111111"  // 9
    "...333.....333.3"  // a
    "13.3..334..37733"  // b
    "13f...3.11111111"  // c
    ".333332.33333333"  // d
    "333333..33333333"  // e
    ".333333.3333333.";  // f
// clang-format on

static_assert(kOneByte.size() == 256 && kTwoByte.size() == 256 && kTwoBytePrefixes.size() == 256);

constexpr bool is_flow(char kind) {
  return std::string_view("cjJkrxg").find(kind) != std::string_view::npos;
}

constexpr unsigned hex_digit(char c) {
  return c == '.' ? 0U : static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
}

class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {}

  std::optional<Step> read() {
    const char kind = read_opcode();
    if (kind == '.') return std::nullopt;
    if (!read_operands(kind) || at_ > bytes_.size()) return std::nullopt;
    step_.length = static_cast<uint8_t>(at_);
    if (step_.direct) {
      step_.distance =
          distance_size_ == 1 ? *load<int8_t>(bytes_, at_ - 1) : *load<int32_t>(bytes_, at_ - 4);
    }
    return step_;
  }

 private:
  // 0 behind the end: whatever that makes, read() finds that it is too long.
  uint8_t byte(size_t at) const {
    return at < bytes_.size() ? std::to_integer<uint8_t>(bytes_[at]) : uint8_t{0};
  }

  // At most one prefix, then REX: what compilers write.
  char read_opcode() {
    const uint8_t prefix = byte(0);
    bool mandatory = false, segment = false;
    if (prefix == 0x66 || prefix == 0xf2 || prefix == 0xf3 || prefix == 0x64 || prefix == 0x65) {
      small_ = prefix == 0x66;
      mandatory = prefix >= 0xf2;
      segment = prefix == 0x64 || prefix == 0x65;
      at_ = 1;
    }
    uint8_t opcode = byte(at_++);
    if ((opcode & 0xf0) == 0x40) {
      wide_ = (opcode & 8) != 0;
      opcode = byte(at_++);
    }
    if (opcode != 0x0f) {
      const char kind = kOneByte[opcode];
      if (mandatory || ((small_ || segment) && is_flow(kind))) return '.';
      return kind;
    }
    opcode = byte(at_++);
    const unsigned used = small_ ? 2 : prefix == 0xf3 ? 4 : prefix == 0xf2 ? 8 : 1;
    const char kind = kTwoByte[opcode];
    if (kind == 'C' && at_ != 2) return '.';
    return (hex_digit(kTwoBytePrefixes[opcode]) & used) != 0 ? kind : '.';
  }

  bool read_operands(char kind) {
    const uint64_t immediate = small_ && !wide_ ? 2 : 4;
    switch (kind) {
      case 'n':
        return true;
      case 'm':
        return modrm();
      case 'b':
        return modrm() && skip(1);
      case 'z':
        return modrm() && skip(immediate);
      case 'i':
        return skip(1);
      case 'w':
        return skip(immediate);
      case 'q':
        return skip(wide_ ? 8 : immediate);
      case 'l':
        return byte(at_) < 0xc0 && modrm();
      case '0':
        return reg() == 0 && modrm() && skip(1);
      case '9':
        return reg() == 0 && modrm() && skip(immediate);
      case '1':
        return reg() <= 1 && modrm();
      case 't':
      case 'T': {
        const bool test = reg() <= 1;
        return modrm() && skip(!test ? 0 : kind == 't' ? 1 : immediate);
      }
      default:
        return read_flow(kind);
    }
  }

  bool read_flow(char kind) {
    switch (kind) {
      case 'g': {
        const unsigned what = reg();
        step_.falls_through = what != 4;
        step_.indirect_jump = what == 4;
        return what != 3 && what != 5 && what != 7 && modrm();
      }
      case 'r':
      case 'x':
        step_.falls_through = false;
        return true;
      case 'j':
      case 'J':
        step_.falls_through = false;
        break;
      default:
        break;
    }
    step_.direct = true;
    distance_size_ = kind == 'c' || kind == 'j' ? 1 : 4;
    return skip(distance_size_);
  }

  unsigned reg() const { return byte(at_) >> 3 & 7; }

  bool skip(uint64_t count) {
    at_ += count;
    return true;
  }

  bool modrm() {
    const uint8_t modrm = byte(at_++);
    const unsigned mod = modrm >> 6, rm = modrm & 7;
    if (mod == 3) return true;
    unsigned base = rm;
    if (rm == 4) base = byte(at_++) & 7;
    if (mod == 0) return skip(base == 5 ? 4 : 0);
    return skip(mod == 1 ? 1 : 4);
  }

  ByteView bytes_;
  size_t at_ = 0;
  bool small_ = false;  // 66 stands in front
  bool wide_ = false;   // REX.W
  uint64_t distance_size_ = 0;
  Step step_;
};

// The same for most of what there is, as lengths instead of letters. Which instruction comes next
// is what a processor cannot guess, so reading one takes no branch that depends on it but the one
// that tells whether it is of these. The low three bits: bytes of immediate.
constexpr uint8_t kModrm = 0x08, kOther = 0x80;

struct Shapes {
  std::array<std::array<uint8_t, 256>, 2> opcodes{};  // those of one byte; those behind 0F
  std::array<uint8_t, 256> operand{};  // bytes of ModRM, SIB and displacement by ModRM
};

constexpr uint8_t shape_of(char kind) {
  switch (kind) {
    case 'n':
      return 0;
    case 'm':
      return kModrm;
    case 'b':
      return kModrm | 1;
    case 'z':
      return kModrm | 4;
    case 'i':
      return 1;
    case 'w':
      return 4;
    default:
      return kOther;
  }
}

constexpr Shapes make_shapes() {
  Shapes shapes;
  for (unsigned i = 0; i < 256; ++i) {
    shapes.opcodes[0][i] = shape_of(kOneByte[i]);
    const bool unprefixed = (hex_digit(kTwoBytePrefixes[i]) & 1) != 0;
    shapes.opcodes[1][i] = unprefixed ? shape_of(kTwoByte[i]) : kOther;
    const unsigned mod = i >> 6, rm = i & 7;
    unsigned size = 1;
    if (mod != 3 && rm == 4) size += 1;
    if (mod == 1) size += 1;
    if (mod == 2 || (mod == 0 && rm == 5)) size += 4;
    shapes.operand[i] = static_cast<uint8_t>(size);
  }
  return shapes;
}

constexpr Shapes kShapes = make_shapes();

// `bytes`: kLongestInstruction of them can be read. 0 where the instruction is none of the simple
// ones.
size_t simple_length(const uint8_t* bytes) {
  const size_t rex = (bytes[0] & 0xf0) == 0x40 ? 1 : 0;
  const size_t escape = bytes[rex] == 0x0f ? 1 : 0;
  const size_t opcode = rex + escape;
  const uint8_t shape = kShapes.opcodes[escape][bytes[opcode]];
  if (shape == kOther) return 0;
  const uint8_t modrm = bytes[opcode + 1];
  // SIB with base 5 and mod 0: a disp32 in place of the base.
  const size_t bare = ((modrm & 0xc7) == 0x04 ? 4U : 0U) & ((bytes[opcode + 2] & 7) == 5 ? 4U : 0U);
  const size_t has_operand = (shape & kModrm) != 0 ? ~size_t{0} : 0;
  return opcode + 1 + ((kShapes.operand[modrm] + bare) & has_operand) + (shape & 7);
}

}  // namespace

std::optional<Step> common_step(ByteView bytes) {
  if (bytes.size() >= kLongestInstruction) {
    const void* first = bytes.data();
    if (const size_t length = simple_length(static_cast<const uint8_t*>(first)))
      return Step{static_cast<uint8_t>(length), true, false, 0, false};
  }
  return Reader(bytes).read();
}

}  // namespace sysrewrite
