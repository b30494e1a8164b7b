// Places where a program, or who traces it, writes over its code at run time. Compilers list them:
//
//     __patchable_function_entries   -fpatchable-function-entry: addresses of runs of nops
//     __mcount_loc                   -mrecord-mcount: addresses of calls or nops of 5 bytes
//     xray_instr_map                 XRay: sleds of 11 bytes
//     .note.stapsdt                  SDT probes: addresses of one nop each
//
// A patch that begins or ends there would be written over, or would change what is compared first.
//
// And restartable sequences: a thread that is interrupted in one goes on elsewhere, so that none of
// its instructions may run in a stub.
//
//     __rseq_cs                      start, length, where to go on
//
// Sources: linux, include/uapi/linux/rseq.h, struct rseq_cs, and tools/testing/selftests/rseq; GCC
// manual, "Instrumentation Options"; LLVM, docs/XRay.rst and compiler-rt/lib/xray; systemtap,
// "UserSpaceProbeImplementation".
#ifndef SYSREWRITE_REWRITER_PATCH_POINTS_H_
#define SYSREWRITE_REWRITER_PATCH_POINTS_H_

#include <optional>
#include <string_view>
#include <vector>

#include "rewriter/elf_image.h"
#include "rewriter/range_set.h"

namespace sysrewrite {

enum class PatchList : uint8_t { kPatchable, kMcount, kSleds, kProbes, kSequences };

// The kind of list that a section of this name is.
std::optional<PatchList> patch_list_named(std::string_view section);

// The bytes of the ranges that lie in such a place. Nothing where no section headers tell.
std::vector<uint64_t> scan_patch_points(const ElfImage& image, const RangeSet& ranges);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_PATCH_POINTS_H_
