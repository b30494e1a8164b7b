// Where in the address space the trampoline lies.
//
//   ET_EXEC               directly below the first segment: nothing is there, and the heap, which
//                         starts behind the last one, has its room. Else in a hole between two
//                         segments. Else 1.25 GiB behind the last: far from where the heap starts.
//   ET_DYN, a program     directly below the first segment, at a "negative" address that the load
//                         bias makes whole. The kernel maps nothing there. Below 0, whatever lies
//                         between, where it would else begin below 0 and end above.
//   ET_DYN, a library     directly behind the last segment: whoever maps the library makes its
//                         reservation longer by that much.
//   --embed=segment       behind the last segment, and the heap behind that.
//   --format=litebox      its loader reserves up to the trampoline's end: behind the last segment.
#ifndef SYSREWRITE_REWRITER_PLACEMENT_H_
#define SYSREWRITE_REWRITER_PLACEMENT_H_

#include "rewriter/elf_image.h"
#include "rewriter/options.h"
#include "rewriter/range_set.h"

namespace sysrewrite {

// A span in which the trampoline will lie; its size is known only once the plan is made.
class Placement {
 public:
  // `bound`: bytes that the trampoline will not exceed, page-aligned.
  static Placement choose(const ElfImage& image, Format format, uint64_t bound);

  // Behind the last segment, with `before` bytes that lie in front of the trampoline.
  static Placement behind(const ElfImage& image, uint64_t before, uint64_t bound);

  // Where choose() and behind() put the trampolines of any options and sizes: up to `depth` bytes
  // of each, from the end that is anchored. Sealed.
  static RangeSet all_choices(const ElfImage& image, uint64_t depth);

  // Where a trampoline of `size` bytes (page-aligned, at most the bound) starts.
  Vaddr start(uint64_t size) const { return anchored_high_ ? high_ - size : low_; }

  // True where a jmp rel32 or RIP-relative operand reaches, wherever in the span one end lies.
  bool reaches(Vaddr from_or_to) const;

 private:
  Vaddr low_;
  Vaddr high_;
  bool anchored_high_ = false;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_PLACEMENT_H_
