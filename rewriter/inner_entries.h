// Branches into the middle of an instruction that a patch may displace. Hand-written code hides one
// instruction in another, behind a prefix or in a constant, and somebody else's function may be who
// goes there:
//
//     f:  b8 eb 05 00 00 | 0f 05       mov $0x5eb, %eax; syscall
//     g:  e9 .. .. .. ..               jmp f + 1: there it is a jump
//
// The superset of all branches has some by chance in every program, so the branch has to be an
// instruction that is known to be one. What a function's own branches lead to, Outline knows.
#ifndef SYSREWRITE_REWRITER_INNER_ENTRIES_H_
#define SYSREWRITE_REWRITER_INNER_ENTRIES_H_

#include <vector>

#include "rewriter/elf_image.h"
#include "rewriter/functions.h"
#include "rewriter/range_set.h"

namespace sysrewrite {

struct PossibleBranch {
  uint64_t opcode;  // the last byte of it
  uint64_t target;
};

// The instructions that begin at such targets within `middles`, ascending.
std::vector<Range> find_inner_entries(const ElfImage& image, const FunctionIndex& functions,
                                      const RangeSet& middles,
                                      const std::vector<PossibleBranch>& branches);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_INNER_ENTRIES_H_
