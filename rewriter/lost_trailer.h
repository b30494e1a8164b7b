// A file that was rewritten and has lost its end: strip and objcopy drop what no section holds. Its
// code still jumps to where the trampoline was, and its poison still waits for somebody to serve
// it.
//
//     site:  E9 cd .. F1 F4     tier A, C: the jump leads out of the file; .. is what is left of
//     the
//                               last instruction, up to 10 bytes
//     site:  EB cb              tier B: a short jump to a springboard, which leads out of the file
//     site:  F1 F4              tier D: poison alone
//
// Any of these bytes may stand in a file by chance; that control flow arrives at them is no
// accident.
#ifndef SYSREWRITE_REWRITER_LOST_TRAILER_H_
#define SYSREWRITE_REWRITER_LOST_TRAILER_H_

#include <optional>
#include <string>
#include <vector>

#include "rewriter/elf_image.h"
#include "rewriter/functions.h"

namespace sysrewrite {

enum class TraceKind : uint8_t { kLeadsOut, kTraps };

// Bytes that a rewrite may have left.
struct RewriteTrace {
  Vaddr at;
  TraceKind kind = TraceKind::kLeadsOut;
  // A jump in front of poison that leads to where the first stubs must have been. By chance a
  // program of 30 MB has some twenty jumps in front of poison, of which one in half a million leads
  // there.
  bool certain = false;
};

// All of them in executable segments, ascending: a few for each megabyte of code that was never
// rewritten.
std::vector<RewriteTrace> suspect_traces(const ElfImage& image);

// The first that is certain, or that flow from a known start arrives at; `functions` knows what
// lies around all of them.
std::optional<RewriteTrace> find_trace(const ElfImage& image, const FunctionIndex& functions,
                                       const std::vector<RewriteTrace>& suspects);

// The interpreter's path, where it is called as ours is by default: a program that was rewritten
// and has no site, or has lost them all, tells by nothing else.
std::optional<std::string> interpreter_of_rewritten(const ElfImage& image);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_LOST_TRAILER_H_
