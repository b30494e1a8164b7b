// What speaks against a patch: everything in the file that may lead into the bytes a patch wants.
//
// None of it trusts a disassembly. A branch is looked for at every byte position of the code, a
// pointer at every byte position of the data: the result is a superset of what can happen, at the
// speed of memory. The price is a false alarm now and then, which costs a better tier, never a
// wrong patch.
#ifndef SYSREWRITE_REWRITER_EVIDENCE_H_
#define SYSREWRITE_REWRITER_EVIDENCE_H_

#include <vector>

#include "rewriter/elf_image.h"
#include "rewriter/functions.h"
#include "rewriter/inner_entries.h"
#include "rewriter/range_set.h"

namespace sysrewrite {

// Addresses inside the ranges asked about; each list ascending, without duplicates.
struct Evidence {
  std::vector<uint64_t> branch_targets;   // a direct branch may go there
  std::vector<uint64_t> pointers;         // data or a relocation may hold this address
  std::vector<uint64_t> taken;            // code may take or compute this address
  std::vector<uint64_t> relocated_bytes;  // a relocation writes this byte
  std::vector<uint64_t> patch_points;     // the program, or who traces it, may write this byte
  std::vector<uint64_t> accessed;         // code may read or write this byte as data
  std::vector<uint64_t> surely_accessed;  // of them: by an instruction that is known to be one
  // Instructions that begin in the middle of others, where a branch that is known to be one leads.
  std::vector<Range> inner_entries;
  std::vector<uint64_t> seams;  // of two segments: no patch lies across (ElfImage::seams())

  static bool any_in(const std::vector<uint64_t>& list, Vaddr from, Vaddr to);
};

struct CodeScan {
  // Every rel8 and rel32 branch into the ranges that any byte of an executable segment could begin.
  std::vector<PossibleBranch> branches;
  // ModRM bytes that any byte of an executable segment could be, whose RIP-relative operand could
  // have a byte of the ranges. What they are, accesses.h says.
  std::vector<uint64_t> operands;
};

CodeScan scan_code(const ElfImage& image, const RangeSet& ranges);

// Values in all segments that equal an address of the ranges (only position-dependent files keep
// such values outside relocations), and the addresses that relocations write.
std::vector<uint64_t> scan_pointers(const ElfImage& image, const RangeSet& ranges);

// Addresses that some lea may take, and targets of the relative jump tables that may lie there.
std::vector<uint64_t> scan_taken_addresses(const ElfImage& image, const RangeSet& ranges);

// Bytes of the ranges that a relocation of the dynamic segment writes.
std::vector<uint64_t> scan_relocated_bytes(const ElfImage& image, const RangeSet& ranges);

// Branches, relocated bytes and accesses: all that tier A asks for, and cheap. Asked once, about
// everything that any tier may want: ranges cost little, a second scan of the file much.
// `middles`: of the instructions in the ranges, behind their prefixes.
Evidence gather_evidence(const ElfImage& image, const FunctionIndex& functions,
                         const RangeSet& ranges, const RangeSet& middles);

// Adds pointers and taken addresses: what springboards, windows of several instructions, and
// windows that hold a prefix ask besides.
void deepen_evidence(const ElfImage& image, const RangeSet& ranges, Evidence& evidence);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_EVIDENCE_H_
