// What following control flow needs of an instruction, and no more: how long it is and where it
// leads. Half of a large library's time would go into decoding the functions around pairs that turn
// out to be no system call, so the encodings that nearly all code consists of are read from a
// table here, twenty times as fast as Zydis reads them.
//
// The table holds only what is an instruction whatever its operands are, or says nothing; all else
// is Zydis's (Decoder::step). A test compares the two over every encoding in the table.
#ifndef SYSREWRITE_REWRITER_STEP_H_
#define SYSREWRITE_REWRITER_STEP_H_

#include <optional>

#include "trampoline/bytes.h"

namespace sysrewrite {

// Source: Intel SDM vol. 2, 2.3.11: more bytes raise #GP, whatever they are.
inline constexpr size_t kLongestInstruction = 15;

struct Step {
  uint8_t length = 0;         // bytes, 1 to 15
  bool falls_through = true;  // calls and conditional branches do
  bool direct = false;        // a direct branch or call
  int32_t distance = 0;       // of its target from the instruction's end
  bool indirect_jump = false;
};

// E8 and a distance, without prefixes.
inline bool is_direct_call(const Step& step, ByteView bytes) {
  return step.direct && bytes[0] == std::byte{0xe8};
}

// Whether code may end behind the system call of this number: rt_sigreturn, exit and exit_group do
// not come back.
constexpr bool may_end_code(int64_t number) {
  return number == 15 || number == 60 || number == 231;
}

// The step from bytes[0], where the table knows it; nothing says nothing.
std::optional<Step> common_step(ByteView bytes);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_STEP_H_
