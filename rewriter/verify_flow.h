// Where control flow goes within one function, followed from its first byte as a processor would:
// what it reaches is an instruction, whatever any table says.
//
// Behind a call, or a system call that may be the last, it goes on only where that comes back;
// instructions reached in no other way are marked. A call of the code behind it that takes the
// return address from the stack skips what lies between.
#ifndef SYSREWRITE_REWRITER_VERIFY_FLOW_H_
#define SYSREWRITE_REWRITER_VERIFY_FLOW_H_

#include <optional>
#include <utility>
#include <vector>

#include "rewriter/decoder.h"

namespace sysrewrite {

class FunctionFlow {
 public:
  struct Reached {
    Vaddr address;
    uint8_t length = 0;
    bool behind_call = false;

    Vaddr end() const { return address + length; }
  };

  FunctionFlow(const Decoder& decoder, ByteView body, Vaddr start);

  // The instructions reached that have a byte in [from, to), ascending. They may overlap.
  std::vector<Reached> reached_in(Vaddr from, Vaddr to) const;

  // True where bytes that flow skips lie between a call and its target.
  bool is_called_over(Vaddr address) const;

  // The start of the instruction that holds the address, as a decode from the end of what flow
  // reaches in front of it comes by it; nothing where flow itself does, or that decode ends before.
  std::optional<Vaddr> swept_holder(Vaddr address) const;

  // True where a branch among what flow does not reach leads to another instruction that has a byte
  // in [from, to): cases of a jump table, or data.
  bool is_read_otherwise(Vaddr from, Vaddr to) const;

 private:
  static constexpr uint8_t kLength = 0x0f, kBehindCall = 0x10, kNone = 0x20, kSwept = 0x40;
  using Work = std::vector<uint64_t>;

  void follow(uint64_t at, uint8_t mark, Work& starts, Work& behind_calls);
  void merge_called_over();
  void sweep();
  void sweep_gap(uint64_t at, uint64_t border);

  const Decoder& decoder_;
  ByteView body_;
  Vaddr start_;
  std::vector<uint8_t> lengths_;  // of each instruction's first byte its length; 0: there is none
  std::vector<std::pair<uint64_t, uint64_t>> called_over_;  // ascending, apart from each other
  std::vector<uint64_t> swept_targets_;                     // ascending
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_FLOW_H_
