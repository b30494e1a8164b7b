// Code that computes where it goes on from a label of its own.
//
//     static const int table[] = {&&l0 - &&l0, &&l1 - &&l0};
//     goto *(&&l0 + table[i]);                  (GCC manual, "Labels as Values")
//
// A table of such distances is numbers like any others, and what they count from only the code
// says. So a function that takes the address of a label inside itself may enter any of its windows.
// It does so with a lea, or, in a file that cannot move, with any 32 bits that are the address (64,
// where code lies above 4 GiB). As in all evidence every byte position is taken for that.
#ifndef SYSREWRITE_REWRITER_DISPATCH_H_
#define SYSREWRITE_REWRITER_DISPATCH_H_

#include <set>
#include <vector>

#include "rewriter/decoder.h"
#include "rewriter/elf_image.h"
#include "rewriter/functions.h"

namespace sysrewrite {

// The labels that code takes, and that it goes on from to an indirect jump, where nothing names the
// bounds of its function. There the distance must do instead, and a look at what the label is for:
// nothing else tells it from the start of a function that is handed to somebody.
//
// Not thread safe, and to be asked in ascending order, give or take kBack: it reads the code once.
class DispatchLabels {
 public:
  // How far from each other code, label and window are looked for.
  static constexpr uint64_t kDistance = FunctionIndex::kIndexedDistance;
  static constexpr uint64_t kBack = 512;

  DispatchLabels(const ElfImage& image, const FunctionIndex& functions, const Decoder& decoder);

  // True where the code of a function, from its start on, takes an address in `labels`. What is
  // done with it is not asked: the jump may be a thunk's ret as well as a jmp *%rax. In any order.
  bool takes_one(const Function& function, const Range& labels) const;

  // True where one of them lies near the address.
  bool near(Vaddr address);
  // The same, of those that no function's start parts from it.
  bool near_in_function(Vaddr address);

 private:
  void read_around(Vaddr address);
  void read(const Segment& segment, Vaddr from, Vaddr to);
  void judge(Vaddr behind, Vaddr label);
  bool is_handed_over(Vaddr behind) const;
  bool leads_to_indirect_jump(Vaddr from);

  const ElfImage& image_;
  const FunctionIndex& functions_;
  const Decoder& decoder_;
  const std::vector<uint64_t> got_;
  std::set<uint64_t> labels_;
  uint64_t read_to_ = 0;
  uint64_t budget_ = 0;  // steps that may still be taken
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_DISPATCH_H_
