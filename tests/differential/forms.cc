#include "tests/differential/forms.h"

#include "rewriter/decoder.h"
#include "tests/differential/encoding.h"

namespace sysrewrite::differential {

namespace {

constexpr uint8_t kAll = 0xff;
constexpr const char* kEndbr = "f3 0f 1e fa";

// Opcode bits in `vary` and the /digits in `digits` are drawn at random.
// Source: Intel SDM vol. 2, appendix A, opcode maps.
constexpr Form kForms[] = {
    // class, prefix, map, opcode, vary, digits, immediate, flags
    {Class::kArithmetic, 0, 0, 0x00, 0x38, 0, Imm::kNone, kModrm | kByte | kLock},
    {Class::kArithmetic, 0, 0, 0x01, 0x38, 0, Imm::kNone, kModrm | kLock},
    {Class::kArithmetic, 0, 0, 0x02, 0x38, 0, Imm::kNone, kModrm | kByte},
    {Class::kArithmetic, 0, 0, 0x03, 0x38, 0, Imm::kNone, kModrm},
    {Class::kArithmetic, 0, 0, 0x04, 0x38, 0, Imm::k8, kByte},
    {Class::kArithmetic, 0, 0, 0x05, 0x38, 0, Imm::k32, 0},
    {Class::kArithmetic, 0, 0, 0x80, 0, kAll, Imm::k8, kModrm | kByte | kLock},
    {Class::kArithmetic, 0, 0, 0x81, 0, kAll, Imm::k32, kModrm | kLock},
    {Class::kArithmetic, 0, 0, 0x83, 0, kAll, Imm::k8, kModrm | kLock},
    {Class::kArithmetic, 0, 0, 0xfe, 0, 0x03, Imm::kNone, kModrm | kByte | kLock},
    {Class::kArithmetic, 0, 0, 0xff, 0, 0x03, Imm::kNone, kModrm | kLock},
    {Class::kArithmetic, 0, 0, 0xf6, 0, 0x0c, Imm::kNone, kModrm | kByte | kLock},
    {Class::kArithmetic, 0, 0, 0xf7, 0, 0x0c, Imm::kNone, kModrm | kLock},
    {Class::kTest, 0, 0, 0x84, 0, 0, Imm::kNone, kModrm | kByte},
    {Class::kTest, 0, 0, 0x85, 0, 0, Imm::kNone, kModrm},
    {Class::kTest, 0, 0, 0xf6, 0, 0x01, Imm::k8, kModrm | kByte},
    {Class::kTest, 0, 0, 0xf7, 0, 0x01, Imm::k32, kModrm},
    {Class::kTest, 0, 0, 0xa8, 0, 0, Imm::k8, kByte},
    {Class::kTest, 0, 0, 0xa9, 0, 0, Imm::k32, 0},
    {Class::kMultiply, 0, 1, 0xaf, 0, 0, Imm::kNone, kModrm},
    {Class::kMultiply, 0, 0, 0x69, 0, 0, Imm::k32, kModrm},
    {Class::kMultiply, 0, 0, 0x6b, 0, 0, Imm::k8, kModrm},
    {Class::kMultiply, 0, 0, 0xf7, 0, 0x30, Imm::kNone, kModrm},
    {Class::kMultiply, 0, 0, 0xf7, 0, 0xc0, Imm::kNone, kModrm | kRare},
    {Class::kMove, 0, 0, 0x88, 0, 0, Imm::kNone, kModrm | kByte},
    {Class::kMove, 0, 0, 0x89, 0, 0, Imm::kNone, kModrm},
    {Class::kMove, 0, 0, 0x8a, 0, 0, Imm::kNone, kModrm | kByte},
    {Class::kMove, 0, 0, 0x8b, 0, 0, Imm::kNone, kModrm},
    {Class::kMove, 0, 0, 0xc6, 0, 0x01, Imm::k8, kModrm | kByte},
    {Class::kMove, 0, 0, 0xc7, 0, 0x01, Imm::k32, kModrm},
    {Class::kMove, 0, 0, 0xb0, 0x07, 0, Imm::k8, kByte | kInOpcode},
    {Class::kMove, 0, 0, 0xb8, 0x07, 0, Imm::k32, kNoWide | kInOpcode},
    {Class::kMove, 0, 0, 0xb8, 0x07, 0, Imm::k64, kWide | kInOpcode},
    {Class::kMove, 0, 0, 0xa1, 0x02, 0, Imm::kAddress, kWide},
    {Class::kMove, 0, 0, 0x63, 0, 0, Imm::kNone, kModrm | kWide},
    {Class::kExtend, 0, 1, 0xb6, 0x09, 0, Imm::kNone, kModrm},
    {Class::kExtend, 0, 0, 0x98, 0x01, 0, Imm::kNone, 0},
    {Class::kExchange, 0, 0, 0x86, 0, 0, Imm::kNone, kModrm | kByte | kLock},
    {Class::kExchange, 0, 0, 0x87, 0, 0, Imm::kNone, kModrm | kLock},
    {Class::kExchange, 0, 1, 0xc0, 0, 0, Imm::kNone, kModrm | kByte | kLock},
    {Class::kExchange, 0, 1, 0xc1, 0, 0, Imm::kNone, kModrm | kLock},
    {Class::kExchange, 0, 1, 0xb0, 0, 0, Imm::kNone, kModrm | kByte | kLock},
    {Class::kExchange, 0, 1, 0xb1, 0, 0, Imm::kNone, kModrm | kLock},
    {Class::kLea, 0, 0, 0x8d, 0, 0, Imm::kNone, kModrm | kMemory},
    {Class::kLea, 0, 0, 0x8d, 0, 0, Imm::kNone, kModrm | kMemory | kWide},
    {Class::kShift, 0, 0, 0xc0, 0, 0xbf, Imm::k8, kModrm | kByte},
    {Class::kShift, 0, 0, 0xc1, 0, 0xbf, Imm::k8, kModrm},
    {Class::kShift, 0, 0, 0xd0, 0x02, 0xbf, Imm::kNone, kModrm | kByte},
    {Class::kShift, 0, 0, 0xd1, 0x02, 0xbf, Imm::kNone, kModrm},
    {Class::kShift, 0, 1, 0xa4, 0x08, 0, Imm::k8, kModrm},
    {Class::kShift, 0, 1, 0xa5, 0x08, 0, Imm::kNone, kModrm},
    {Class::kBit, 0, 1, 0xa3, 0x18, 0, Imm::kNone, kModrm | kRegisters},
    {Class::kBit, 0, 1, 0xba, 0, 0xf0, Imm::k8, kModrm | kLock},
    {Class::kBit, 0, 1, 0xbc, 0x01, 0, Imm::kNone, kModrm},
    {Class::kBit, 0, 1, 0xc8, 0x07, 0, Imm::kNone, kInOpcode | kOnly32},
    {Class::kConditional, 0, 1, 0x40, 0x0f, 0, Imm::kNone, kModrm},
    {Class::kConditional, 0, 1, 0x90, 0x0f, 0x01, Imm::kNone, kModrm | kByte},
    {Class::kStack, 0, 0, 0x50, 0x07, 0, Imm::kNone, kNoWide | kInOpcode},
    {Class::kStack, 0, 0, 0x58, 0x07, 0, Imm::kNone, kNoWide | kInOpcode},
    {Class::kStack, 0, 0, 0x6a, 0, 0, Imm::k8, kNoWide},
    {Class::kStack, 0, 0, 0x68, 0, 0, Imm::k32, kNoWide | kOnly32},
    {Class::kStack, 0, 0, 0xff, 0, 0x40, Imm::kNone, kModrm | kNoWide | kOnly32},
    {Class::kStack, 0, 0, 0x8f, 0, 0x01, Imm::kNone, kModrm | kNoWide | kOnly32},
    {Class::kStack, 0, 0, 0x9c, 0, 0, Imm::kNone, kNoWide | kOnly32},
    {Class::kFlags, 0, 0, 0xf8, 0x01, 0, Imm::kNone, kNoWide | kOnly32},
    {Class::kFlags, 0, 0, 0xfc, 0x01, 0, Imm::kNone, kNoWide | kOnly32},
    {Class::kFlags, 0, 0, 0x9e, 0x01, 0, Imm::kNone, kNoWide | kOnly32},
    {Class::kString, 0, 0, 0xa4, 0, 0, Imm::kNone, kByte | kRepeat},
    {Class::kString, 0, 0, 0xa5, 0, 0, Imm::kNone, kRepeat},
    {Class::kString, 0, 0, 0xa6, 0, 0, Imm::kNone, kByte | kRepeat},
    {Class::kString, 0, 0, 0xa7, 0, 0, Imm::kNone, kRepeat},
    {Class::kString, 0, 0, 0xaa, 0x04, 0, Imm::kNone, kByte | kRepeat},
    {Class::kString, 0, 0, 0xab, 0x04, 0, Imm::kNone, kRepeat},
    {Class::kString, 0, 0, 0xac, 0, 0, Imm::kNone, kByte | kRepeat},
    {Class::kString, 0, 0, 0xad, 0, 0, Imm::kNone, kRepeat},
    {Class::kVector, 0, 1, 0x10, 0x01, 0, Imm::kNone, kModrm | kVectors},
    {Class::kVector, 0, 1, 0x28, 0x01, 0, Imm::kNone, kModrm | kVectors},
    {Class::kVector, 0x66, 1, 0x6f, 0x10, 0, Imm::kNone, kModrm | kVectors},
    {Class::kVector, 0xf3, 1, 0x6f, 0x10, 0, Imm::kNone, kModrm | kVectors},
    {Class::kVector, 0xf2, 1, 0x10, 0x01, 0, Imm::kNone, kModrm | kVectors},
    {Class::kVector, 0xf3, 1, 0x10, 0x01, 0, Imm::kNone, kModrm | kVectors},
    {Class::kVector, 0x66, 1, 0xef, 0, 0, Imm::kNone, kModrm | kVectors},
    {Class::kVector, 0x66, 1, 0xfe, 0, 0, Imm::kNone, kModrm | kVectors},
    {Class::kVector, 0, 1, 0x54, 0x03, 0, Imm::kNone, kModrm | kVectors},
    {Class::kVector, 0x66, 1, 0x6e, 0x10, 0, Imm::kNone, kModrm | kVectorReg},
    {Class::kVector, 0x66, 1, 0x70, 0, 0, Imm::k8, kModrm | kVectors},
    {Class::kVector, 0, 1, 0xc6, 0, 0, Imm::k8, kModrm | kVectors},
    {Class::kVex, 0, 1, 0x10, 0x01, 0, Imm::kNone, kModrm | kVectors | kAvx},
    {Class::kVex, 0xf3, 1, 0x6f, 0x10, 0, Imm::kNone, kModrm | kVectors | kAvx},
    {Class::kVex, 0, 1, 0x54, 0x03, 0, Imm::kNone, kModrm | kVectors | kAvx | kThree},
    {Class::kVex, 0x66, 1, 0xef, 0, 0, Imm::kNone, kModrm | kVectors | kAvx2 | kThree},
    {Class::kVex, 0x66, 1, 0xfe, 0, 0, Imm::kNone, kModrm | kVectors | kAvx2 | kThree},
    {Class::kVex, 0x66, 1, 0x70, 0, 0, Imm::k8, kModrm | kVectors | kAvx2},
    {Class::kVex, 0x66, 3, 0x0f, 0, 0, Imm::k8, kModrm | kVectors | kAvx2 | kThree},
    {Class::kVex, 0x66, 2, 0x00, 0, 0, Imm::kNone, kModrm | kVectors | kAvx2 | kThree},
    {Class::kEvex, 0, 1, 0x10, 0x01, 0, Imm::kNone, kModrm | kVectors | kAvx512},
    {Class::kEvex, 0xf3, 1, 0x6f, 0x10, 0, Imm::kNone, kModrm | kVectors | kAvx512},
    {Class::kEvex, 0x66, 1, 0xef, 0, 0, Imm::kNone, kModrm | kVectors | kAvx512 | kThree},
    {Class::kEvex, 0x66, 1, 0xfe, 0, 0, Imm::kNone, kModrm | kVectors | kAvx512 | kThree},
    {Class::kNop, 0, 1, 0x1f, 0, 0x01, Imm::kNone, kModrm | kMemory | kNoWide},
    {Class::kNop, 0, 0, 0x90, 0, 0, Imm::kNone, kNoWide},
};

bool can_run(const Form& form, const Palette& palette) {
  if ((form.flags & kAvx) != 0) return palette.avx;
  if ((form.flags & kAvx2) != 0) return palette.avx2;
  return (form.flags & kAvx512) == 0 || palette.avx512;
}

// Some rows have operands that are no instruction (lock cmp): what faults on purpose stands at the
// end of functions only, since a rewriter takes bytes that do not decode for data.
bool is_legal(const Item& item) {
  static const Decoder decoder;
  const auto in = decoder.decode(item.bytes, {0});
  return in && in->length == item.bytes.size();
}

Item raw(Class meaning, Bytes bytes) {
  Item item;
  item.meaning = meaning;
  item.bytes = std::move(bytes);
  return item;
}

Bytes with_number(const char* opcode, uint32_t number) {
  return test::hex(opcode) + test::bytes_of(number);
}

}  // namespace

// A class first, so that the classes with many rows do not crowd out the others.
Item random_instruction(Random& random, const Palette& palette) {
  const auto wanted = static_cast<Class>(random.below(static_cast<size_t>(Class::kCount)));
  for (;;) {
    const Form& form = random.pick(kForms);
    const bool rare = (form.flags & kRare) != 0 && !random.one_in(4);
    const bool absent = wanted == Class::kVex    ? !palette.avx2
                        : wanted == Class::kEvex ? !palette.avx512
                                                 : false;
    if ((form.meaning != wanted && !absent) || rare || !can_run(form, palette)) continue;
    if (wanted == Class::kNop && random.one_in(16)) return raw(Class::kNop, test::hex(kEndbr));
    Item item = encode(form, random, palette);
    if (is_legal(item)) return item;
  }
}

Item load_number(Random& random, uint32_t number) {
  switch (random.below(8)) {
    case 0:
      return raw(Class::kMove, with_number("48 c7 c0", number));  // mov $number, %rax
    case 1:
      return raw(Class::kMove,
                 with_number("c7 c0", number));  // mov $number, %eax, two bytes of opcode
    case 2:
      return raw(Class::kMove, with_number("48 b8", number) + test::hex("00 00 00 00"));
    case 3:  // mov $number, %al
      return raw(Class::kMove, test::hex("b0") + test::bytes_of(static_cast<uint8_t>(number)));
    case 4:
      return raw(Class::kArithmetic, test::hex("31 c0"));  // xor %eax, %eax
    default:
      return raw(Class::kMove, with_number("b8", number));  // mov $number, %eax
  }
}

}  // namespace sysrewrite::differential
