// Everything there is to say about a file, rewritten or not: sites, the evidence for every pair,
// the names around them, and the code before and after.
#ifndef SYSREWRITE_REWRITER_INSPECT_H_
#define SYSREWRITE_REWRITER_INSPECT_H_

#include <map>
#include <string>
#include <vector>

#include "rewriter/pipeline.h"

namespace sysrewrite {

struct CodeLine {
  Vaddr address;
  std::vector<std::byte> bytes;
  std::string text;  // AT&T syntax
};

struct InspectedSite {
  SiteReport site;
  std::string symbol;  // "write+0x12"; empty where no symbol is near
  // Only where disassembly was asked for; all but `before` empty for a site left native.
  std::vector<CodeLine> before, after, springboard, stub;
};

struct InspectedPair {
  ClassifiedCandidate pair;
  std::string symbol;
};

struct Inspection {
  bool rewritten =
      false;  // else the sites are those that a rewrite with default options would make
  ImageKind kind = ImageKind::kSharedObject;
  Format format = Format::kSysrewrite;
  StubKind stub = StubKind::kRedzone;
  bool native_tail = true;
  bool embedded = false;       // --embed=segment
  bool changed_since = false;  // headers were written anew by another tool; input_size is of old
  bool symbols = false;        // its section headers name the stubs
  uint64_t input_size = 0, output_size = 0;  // bytes
  std::string interpreter;                   // set by the rewrite; empty: none
  std::vector<std::string> loader_options;
  Vaddr trampoline;
  uint64_t trampoline_size = 0;
  std::vector<InspectedSite> sites;
  std::vector<InspectedPair> pairs;        // every `0f 05`, sites too
  std::vector<InspectedPair> other_calls;  // int 0x80 and sysenter

  // Of the whole file, whatever a caller has taken out of the lists since.
  std::map<Tier, size_t> tiers;
  std::map<CandidateClass, size_t> classes;

  size_t count(Tier tier) const { return tiers.contains(tier) ? tiers.at(tier) : 0; }
  size_t count(CandidateClass wanted) const {
    return classes.contains(wanted) ? classes.at(wanted) : 0;
  }
};

// Fails for what is no file to rewrite, and for a rewritten one that was edited or cut off.
// `options`: of the rewrite that an input is shown with.
Result<Inspection> inspect(ByteView file, bool disassemble, Options options = {});

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_INSPECT_H_
