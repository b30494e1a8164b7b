#include "tests/differential/encoding.h"

#include <cstdlib>

namespace sysrewrite::differential {

namespace {

constexpr uint8_t kRcx = 1, kRsp = 4, kRbp = 5;
// Far enough to leave data and stack on either side, near enough to meet nothing else.
constexpr uint32_t kNowhere = 0x20000000;

void put(Bytes& out, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) out.push_back(static_cast<std::byte>(value >> 8 * i));
}

// ModRM, SIB and displacement, and the bits of theirs that REX, VEX or EVEX hold.
struct Operands {
  Operand kind = Operand::kNone;
  Bytes bytes;
  uint8_t reg = 0, index = 0, rm = 0;  // of 16
  uint8_t hole = 0;                    // in `bytes`
};

class Encoder {
 public:
  Encoder(const Form& form, Random& random, const Palette& palette)
      : form_(form), random_(random), palette_(palette) {}

  Item run() {
    draw();
    if (has(kModrm)) draw_operands();
    Item item;
    item.meaning = form_.meaning;
    item.operand = operands_.kind;
    put_prefixes(item);
    put_opcode(item.bytes);
    if (operands_.hole != 0) {
      item.hole = static_cast<uint8_t>(item.bytes.size() + operands_.hole);
      // Sometimes beyond the data, where nothing is.
      item.data = random_.one_in(32) ? kDataSize + random_.below(kDataSize) : random_.below(4032);
      if (random_.one_in(2)) item.data &= ~31U;
    }
    item.bytes = std::move(item.bytes) + operands_.bytes;
    put_immediate(item.bytes);
    put_needless_prefixes(item);
    return item;
  }

 private:
  bool has(uint32_t flag) const { return (form_.flags & flag) != 0; }
  bool is_vex() const { return has(kAvx) || has(kAvx2) || has(kAvx512); }

  void draw() {
    const uint32_t size = random_.below(4);  // 16, 32, 32, 64
    const bool sized = !has(kByte) && !has(kVectors) && form_.prefix == 0;
    wide_ = has(kWide) || (!has(kNoWide) && !has(kByte) && !has(kVectors) && size == 3);
    half_ = sized && !has(kWide) && !has(kOnly32) && size == 0;
    opcode_ = static_cast<uint8_t>(form_.opcode + (random_.next() & form_.vary));
    if (!has(kInOpcode)) return;
    const uint8_t reg = pick_register();
    operands_.rm = reg;
    opcode_ = static_cast<uint8_t>(form_.opcode | (reg & 7));
    operands_.kind = Operand::kRegister;
  }

  // Nothing reads rcx, which behind a call holds an address of the code, and rsp rarely moves.
  uint8_t pick_register() {
    for (;;) {
      const auto reg = static_cast<uint8_t>(random_.below(16));
      if (reg == kRcx) continue;
      if (reg == kRsp && !has(kByte) && !random_.one_in(16)) continue;
      // What makes addresses is kept, mostly, so that not every function ends with a fault.
      const bool precious = ((palette_.pointers | palette_.small) >> reg & 1) != 0;
      if (precious && !random_.one_in(4)) continue;
      return reg;
    }
  }
  uint8_t pick_vector() { return static_cast<uint8_t>(random_.below(16)); }

  uint8_t pick_base() {
    if (random_.one_in(6)) return random_.one_in(2) ? kRsp : pick_register();
    for (;;) {
      const auto reg = static_cast<uint8_t>(random_.below(16));
      if ((palette_.pointers >> reg & 1) != 0) return reg;
    }
  }
  uint8_t pick_index() {
    const uint32_t small = palette_.small & ~(1U << kRcx | 1U << kRsp);
    if (small != 0 && !random_.one_in(16))
      for (;;)
        if (const uint32_t reg = random_.below(16); (small >> reg & 1) != 0)
          return static_cast<uint8_t>(reg);
    for (;;)
      if (const uint8_t reg = pick_register(); reg != kRsp) return reg;
  }

  Operand pick_kind() {
    if (has(kRegisters)) return Operand::kRegister;
    if (!has(kMemory) && random_.one_in(3)) return Operand::kRegister;
    switch (random_.below(10)) {
      case 0:
      case 1:
      case 2:
        return Operand::kRip;
      case 3:
        return Operand::kIndex;
      case 4:
        return random_.one_in(4) ? Operand::kIndexAlone : Operand::kIndex;
      case 5:
        return palette_.absolute ? Operand::kAbsolute : Operand::kRip;
      case 6:
        return Operand::kSegment;
      default:
        return Operand::kBase;
    }
  }

  void draw_operands() {
    const bool vector_reg = has(kVectors) || has(kVectorReg);
    operands_.reg = vector_reg ? pick_vector() : pick_register();
    if (form_.digits != 0) {
      do operands_.reg = static_cast<uint8_t>(random_.below(8));
      while ((form_.digits >> operands_.reg & 1) == 0);
    }
    operands_.kind = pick_kind();
    if (operands_.kind == Operand::kRegister) {
      operands_.rm = has(kVectors) ? pick_vector() : pick_register();
      return put_modrm(3, operands_.rm);
    }
    draw_memory();
  }

  void draw_memory() {
    switch (operands_.kind) {
      case Operand::kRip:
        put_modrm(0, 5);
        operands_.hole = static_cast<uint8_t>(operands_.bytes.size());
        return put(operands_.bytes, 0, 4);
      case Operand::kAbsolute:
        put_modrm(0, 4);
        put(operands_.bytes, 0x25, 1);
        return put(operands_.bytes, palette_.data + random_.below(4032), 4);
      case Operand::kSegment:
        put_modrm(0, 4);
        put(operands_.bytes, 0x25, 1);
        return put(operands_.bytes, random_.below(4032), 4);
      case Operand::kIndexAlone:
        operands_.index = pick_index();
        put_modrm(0, 4);
        put_sib(random_.below(4), operands_.index, kRbp);
        return put(operands_.bytes, random_.one_in(2) ? 0 : kNowhere, 4);
      default:
        return draw_base();
    }
  }

  void draw_base() {
    operands_.rm = pick_base();
    const uint8_t low = operands_.rm & 7;
    auto mod = static_cast<uint8_t>(random_.below(3));
    if (mod == 0 && low == kRbp) mod = 1;
    if (operands_.kind == Operand::kIndex) {
      operands_.index = pick_index();
      put_modrm(mod, 4);
      put_sib(random_.below(4), operands_.index, operands_.rm);
    } else {
      put_modrm(mod, low);
      if (low == kRsp) put_sib(0, kRsp, operands_.rm);
    }
    if (mod == 1) put(operands_.bytes, random_.next(), 1);
    if (mod == 2) put(operands_.bytes, random_.one_in(16) ? kNowhere : random_.below(1000), 4);
  }

  void put_modrm(uint8_t mod, uint8_t rm) {
    put(operands_.bytes, static_cast<uint64_t>(mod << 6 | (operands_.reg & 7) << 3 | (rm & 7)), 1);
  }
  void put_sib(uint32_t scale, uint8_t index, uint8_t base) {
    put(operands_.bytes, scale << 6 | (index & 7U) << 3 | (base & 7U), 1);
  }

  void put_prefixes(Item& item) {
    const bool memory = operands_.kind != Operand::kNone && operands_.kind != Operand::kRegister;
    if (has(kLock) && memory && random_.one_in(4)) {
      put(item.bytes, 0xf0, 1);
      item.ignored = 1;
    }
    if (operands_.kind == Operand::kSegment) put(item.bytes, random_.one_in(2) ? 0x64 : 0x65, 1);
    if (half_) put(item.bytes, 0x66, 1);
    if (has(kRepeat) && random_.one_in(2)) put(item.bytes, random_.one_in(2) ? 0xf3 : 0xf2, 1);
  }

  void put_opcode(Bytes& out) {
    if (has(kAvx512)) return put_evex(out);
    if (is_vex()) return put_vex(out);
    if (form_.prefix != 0) put(out, form_.prefix, 1);
    const auto rex = static_cast<uint8_t>((wide_ ? 8 : 0) | (operands_.reg >> 3) << 2 |
                                          (operands_.index >> 3) << 1 | operands_.rm >> 3);
    if (rex != 0 || random_.one_in(12)) put(out, 0x40U | rex, 1);
    if (form_.map != 0) put(out, 0x0f, 1);
    put(out, opcode_, 1);
  }

  uint8_t implied() const {
    return form_.prefix == 0x66 ? 1 : form_.prefix == 0xf3 ? 2 : form_.prefix == 0xf2 ? 3 : 0;
  }
  uint8_t third() { return has(kThree) ? pick_vector() : uint8_t{0}; }

  // Source: Intel SDM vol. 2, 2.3.5, "The VEX Prefix".
  void put_vex(Bytes& out) {
    const uint32_t r = ~operands_.reg >> 3 & 1, x = ~operands_.index >> 3 & 1,
                   b = ~operands_.rm >> 3 & 1;
    const uint32_t last =
        (~static_cast<uint32_t>(third()) & 15) << 3 | random_.below(2) << 2 | implied();
    if (x == 1 && b == 1 && form_.map == 1 && random_.one_in(2)) {
      put(out, 0xc5, 1);
      put(out, r << 7 | last, 1);
    } else {
      put(out, 0xc4, 1);
      put(out, r << 7 | x << 6 | b << 5 | form_.map, 1);
      put(out, last, 1);
    }
    put(out, opcode_, 1);
  }

  // Source: Intel SDM vol. 2, 2.7.1, "Instruction Format and EVEX". A disp8 counts in vectors here.
  void put_evex(Bytes& out) {
    const uint32_t r = ~operands_.reg >> 3 & 1, x = ~operands_.index >> 3 & 1,
                   b = ~operands_.rm >> 3 & 1;
    // In a register operand X is the rm's fifth bit: 1 for the first 16.
    put(out, 0x62, 1);
    put(out, r << 7 | x << 6 | b << 5 | 1U << 4 | form_.map, 1);
    put(out, (~static_cast<uint32_t>(third()) & 15) << 3 | 1U << 2 | implied(), 1);
    put(out, random_.below(2) << 5 | 1U << 3, 1);  // 128 or 256 bits, no mask
    put(out, opcode_, 1);
  }

  void put_immediate(Bytes& out) {
    switch (form_.immediate) {
      case Imm::kNone:
        return;
      case Imm::k8:
        return put(out, random_.next(), 1);
      case Imm::k32:
        return put(out, random_.next(), half_ && !wide_ ? 2 : 4);
      case Imm::k64:
        return put(out, random_.next(), 8);
      case Imm::kAddress:
        return put(out, palette_.data + random_.below(4032), 8);
    }
  }

  // Segments that 64-bit code ignores, in front of everything: up to the 15 bytes that there may
  // be.
  void put_needless_prefixes(Item& item) {
    if (!random_.one_in(10) || item.ignored != 0) return;
    // A fs or gs that follows would win, but which of two wins is nothing to rest on.
    if (operands_.kind == Operand::kSegment) return;
    const size_t room = 15 - item.bytes.size();
    const size_t count = random_.one_in(4) ? room : std::min<size_t>(room, 1 + random_.below(3));
    if (count == 0) return;
    item.bytes.insert(item.bytes.begin(), count,
                      std::byte{random_.one_in(2) ? uint8_t{0x2e} : uint8_t{0x3e}});
    if (item.hole != 0) item.hole = static_cast<uint8_t>(item.hole + count);
    item.ignored = static_cast<uint8_t>(count);
  }

  const Form& form_;
  Random& random_;
  const Palette& palette_;
  bool wide_ = false, half_ = false;
  uint8_t opcode_ = 0;
  Operands operands_;
};

}  // namespace

Item encode(const Form& form, Random& random, const Palette& palette) {
  return Encoder(form, random, palette).run();
}

}  // namespace sysrewrite::differential
