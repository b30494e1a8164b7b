// Unwind tables (.eh_frame, .debug_frame) read to the end: the rules that hold at an address. A
// reader of a format, like the decoder: rewriter and verify both see tables through it.
// Source: DWARF 5, 6.4 "Call Frame Information"; LSB Core 5.0, 10.6.
#ifndef SYSREWRITE_REWRITER_CALL_FRAMES_H_
#define SYSREWRITE_REWRITER_CALL_FRAMES_H_

#include <array>
#include <optional>
#include <vector>

#include "rewriter/frame_table.h"

namespace sysrewrite {

// x86-64 psABI, figure 3.36: the numbers that unwind tables give to registers.
inline constexpr uint16_t kFrameRsp = 7, kFrameReturn = 16, kFrameRegisters = 33;

// How the caller's value of one register is found.
struct RegisterRule {
  enum class Kind : uint8_t {
    kUnspecified,
    kUndefined,
    kSameValue,
    kOffset,         // stored at CFA + number
    kValOffset,      // is CFA + number
    kRegister,       // in the register `number`
    kExpression,     // stored where the expression says
    kValExpression,  // what the expression says
  };
  Kind kind = Kind::kUnspecified;
  int64_t number = 0;
  std::vector<std::byte> expression;

  bool operator==(const RegisterRule&) const = default;
};

// What holds at one address.
struct FrameRow {
  uint16_t cfa_register = kFrameRsp;
  int64_t cfa_offset = 0;
  std::vector<std::byte> cfa_expression;  // where not empty, instead of register and offset
  std::array<RegisterRule, kFrameRegisters> registers;

  bool operator==(const FrameRow&) const = default;

  // The row where rsp is `lower` bytes lower and all else is the same; nothing where an expression
  // cannot be told what that means.
  std::optional<FrameRow> with_lower_stack(int64_t lower) const;
};

// One FDE with what its CIE says.
struct CallFrame {
  FrameCommon common;
  FrameDescription own;

  // `address` may be the frame's end: what holds behind its last instruction.
  bool holds(Vaddr address) const {
    return address >= own.start && address.value - own.start.value <= own.size;
  }
};

class CallFrames {
 public:
  // Takes what parses; FDEs of another return-address register than rip's are left out. `address`:
  // of table[0]; a .debug_frame has none. `table` must outlive this.
  static CallFrames read(ByteView table, Vaddr address, FrameStyle style);

  bool empty() const { return frames_.empty(); }
  const std::vector<CallFrame>& all() const { return frames_; }  // ascending by start
  // The frame that covers the address, or null.
  const CallFrame* covering(Vaddr address) const;

 private:
  std::vector<CallFrame> frames_;  // ascending by start
};

// Runs the programs of frames. A file may hold programs that take for ever, so each evaluator does
// a bounded amount of work and then answers nothing more.
class FrameEvaluator {
 public:
  // The rows at `addresses`, which ascend and lie in the frame or at its end; nothing where its
  // program does not parse.
  std::optional<std::vector<FrameRow>> rows_at(const CallFrame& frame,
                                               const std::vector<Vaddr>& addresses);

 private:
  uint64_t work_left_ = uint64_t{1} << 24;  // instructions; libc.so.6 takes 1 << 16
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_CALL_FRAMES_H_
