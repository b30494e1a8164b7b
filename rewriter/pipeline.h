// The whole rewrite: bytes in, bytes out. Never prints, never exits, opens no file; thread safe,
// and a pure function of its arguments: the same input and options give the same output.
#ifndef SYSREWRITE_REWRITER_PIPELINE_H_
#define SYSREWRITE_REWRITER_PIPELINE_H_

#include <string>
#include <vector>

#include "rewriter/options.h"
#include "rewriter/output.h"
#include "rewriter/result.h"

namespace sysrewrite {

struct SiteReport {
  Vaddr address;
  Tier tier = Tier::kNative;
  Reason reason = Reason::kNone;
  CandidateEvidence evidence = CandidateEvidence::kFunctionDecode;
  Vaddr window;
  uint8_t window_size = 0;
  Vaddr stub;  // where the tier has one
  std::optional<Vaddr> springboard;
};

struct Report {
  ImageKind kind = ImageKind::kSharedObject;
  bool already_rewritten = false;  // nothing was done, and nothing else of this is filled, but
  bool was_incomplete = false;     // whether the file has calls that were left native
  StartChange start = StartChange::kNone;
  std::string interpreter;
  uint64_t input_size = 0;   // bytes
  uint64_t output_size = 0;  // bytes
  Vaddr trampoline;
  uint64_t trampoline_size = 0;  // bytes
  bool symbols = false;          // section headers name the stubs
  size_t framed_stubs = 0;       // of them: those that a debugger can unwind from
  std::vector<SiteReport> sites;
  std::vector<ClassifiedCandidate> candidates;
  std::vector<ClassifiedCandidate> other_calls;  // int 0x80 and sysenter: reported, left alone

  size_t count(Tier tier) const;
  size_t count(CandidateClass wanted) const;
  // True where a system call may still reach the kernel by itself: left native or uncertain.
  bool incomplete() const;
};

struct Rewritten {
  OutputBytes output;  // empty where already_rewritten: the output is the input
  Report report;
};

Result<Rewritten> rewrite(ByteView input, const Options& asked);

// Of what restore() or restore_code() has given back: it carries no trailer and no patch, and
// headers that were written anew since may still name sysload.
Result<Rewritten> rewrite_restored(ByteView original, const Options& asked);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_PIPELINE_H_
