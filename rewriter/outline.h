// A function's instruction starts, without the instructions: a byte for each byte of it.
//
// Most candidates are accidents, and all that is asked about them is which instruction holds them
// and whether control flow leads there. That needs lengths and branches only. The few instructions
// around a system call are described from here, one by one.
#ifndef SYSREWRITE_REWRITER_OUTLINE_H_
#define SYSREWRITE_REWRITER_OUTLINE_H_

#include <optional>
#include <vector>

#include "rewriter/decoder.h"
#include "rewriter/range_set.h"

namespace sysrewrite {

class Outline {
 public:
  struct Span {
    Vaddr address;
    uint8_t length = 0;
    bool reached = false;  // control flow from the function's start leads here
    // ... but only where a call comes back, or a system call that may end the program does.
    bool behind_call = false;

    Vaddr end() const { return address + length; }
  };

  // Follows control flow from the first byte, first without what lies behind calls, then with it,
  // and then sweeps what lies between: instructions that flow reaches come first, the lower of two
  // that overlap (the other is overlapping() then), and a sweep stops where it would run into the
  // middle of one. All flow is followed, since what it reaches last may overlap, and so displace,
  // what it reached first.
  Outline(const Decoder& decoder, ByteView body, Vaddr start);

  Vaddr start() const { return start_; }
  uint64_t size() const { return lengths_.size(); }
  // Behind the last instruction; the start where there is none.
  Vaddr end_of_code() const { return start_ + end_of_code_; }
  // True where some bytes are no instructions, or two that flow reaches overlap.
  bool lost_step() const { return lost_step_; }
  bool indirect_jump() const { return indirect_jump_; }  // it has one
  // Other readings of the same bytes: instructions in the middle of those above, to which flow or
  // one of their branches leads, with a byte in [from, to). Nearly always none.
  std::vector<Span> overlapping(Vaddr from, Vaddr to) const;

  // True between a call and its target where that takes the return address from the stack: what
  // lies there was meant to be addressed, not run.
  bool is_called_over(Vaddr address) const;

  std::optional<Span> holding(Vaddr address) const;
  // The first that starts at the address or behind it; the last that starts in front of it.
  std::optional<Span> next(Vaddr address) const;
  std::optional<Span> previous(Vaddr address) const;

 private:
  // Of an instruction's first byte its length, with kReached where flow leads there; else 0.
  static constexpr uint8_t kReached = 0x80, kNoInstruction = 0x40, kIndirectJump = 0x20,
                           kBehindCall = 0x10;
  static constexpr uint8_t kLength = 0x0f;

  // Where flow is still to be followed from.
  struct Work {
    std::vector<uint64_t> starts, behind_calls;
  };

  static uint8_t encode(const Step& step);
  Span span_at(uint64_t offset) const;
  void follow_flow(const Decoder& decoder, ByteView body);
  void follow_path(const Decoder& decoder, ByteView body, uint64_t at, uint8_t mark, Work& work);
  void drop_overlapping();
  void sweep_gaps(const Decoder& decoder, ByteView body);
  void add_overlapping(const Decoder& decoder, ByteView body, std::vector<uint64_t> swept_targets);

  Vaddr start_;
  std::vector<uint8_t> lengths_;
  std::vector<Span> overlapping_;  // ascending
  std::vector<Range> called_over_;
  uint64_t end_of_code_ = 0;
  bool lost_step_ = false;
  bool indirect_jump_ = false;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_OUTLINE_H_
