// Bytes of code that other code reads or writes as data, by a RIP-relative operand:
//
//     mov table(%rip), %rax           8 bytes
//     pshufb mask(%rip), %xmm0        16
//     jmp *pointer(%rip)              8: the pointer is data
//
// Hand-written code keeps its constants beside it, and some are nops or a syscall by their bytes
// alone. A lea takes an address, and reads nothing (address_scan.cc).
//
// The scan that finds operands takes every byte for a ModRM byte, and what it finds in the middle
// of other instructions says nothing. So the instruction is asked for that holds the byte, by flow
// from a known start, or by decodes that agree; where neither knows of one, what was found stays
// possible: enough to leave the bytes alone, not enough to believe that a system call is none.
#ifndef SYSREWRITE_REWRITER_ACCESSES_H_
#define SYSREWRITE_REWRITER_ACCESSES_H_

#include <vector>

#include "rewriter/elf_image.h"
#include "rewriter/functions.h"
#include "rewriter/range_set.h"

namespace sysrewrite {

// Bytes of the ranges; each list ascending, without duplicates.
struct Accesses {
  std::vector<uint64_t> possible;  // those below, too
  std::vector<uint64_t> certain;   // by an instruction that is known to be one
};

// `operands`: where ModRM bytes may stand, of scan_code() about these ranges.
Accesses find_accesses(const ElfImage& image, const FunctionIndex& functions,
                       const RangeSet& ranges, const std::vector<uint64_t>& operands);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_ACCESSES_H_
