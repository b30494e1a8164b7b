// One row of the table in forms.cc, made into bytes with random operands.
#ifndef SYSREWRITE_TESTS_DIFFERENTIAL_ENCODING_H_
#define SYSREWRITE_TESTS_DIFFERENTIAL_ENCODING_H_

#include "tests/differential/forms.h"

namespace sysrewrite::differential {

enum class Imm : uint8_t {
  kNone,
  k8,
  k32,  // 2 bytes where the operand has 16 bits
  k64,
  kAddress,  // 8 bytes, of the data
};

enum FormFlags : uint32_t {
  kModrm = 1U << 0,
  kByte = 1U << 1,        // 8-bit operands: no REX.W, no 66
  kLock = 1U << 2,        // takes a lock prefix where it writes memory
  kMemory = 1U << 3,      // no register operand
  kRegisters = 1U << 4,   // no memory operand
  kInOpcode = 1U << 5,    // the register stands in the opcode's low bits
  kWide = 1U << 6,        // REX.W always
  kNoWide = 1U << 7,      // REX.W never
  kOnly32 = 1U << 8,      // no 66 either
  kRepeat = 1U << 9,      // takes rep and repne
  kVectors = 1U << 10,    // both registers are vectors
  kVectorReg = 1U << 11,  // the one in ModRM.reg is
  kAvx = 1U << 12,
  kAvx2 = 1U << 13,
  kAvx512 = 1U << 14,
  kThree = 1U << 15,  // has a third register, in VEX.vvvv
  kRare = 1U << 16,   // faults most of the time
};

struct Form {
  Class meaning;
  uint8_t prefix;  // mandatory
  uint8_t map;     // 0: one byte; 1: 0F; 2: 0F 38; 3: 0F 3A
  uint8_t opcode;
  uint8_t vary;
  uint8_t digits;  // bit n: /n is one of its instructions; 0: ModRM.reg is a register
  Imm immediate;
  uint32_t flags;
};

Item encode(const Form& form, Random& random, const Palette& palette);

}  // namespace sysrewrite::differential

#endif  // SYSREWRITE_TESTS_DIFFERENTIAL_ENCODING_H_
