// The byte pairs that may be system-call instructions. Found by content, not by decoding: a scan
// runs at memory speed, and only what lies around a candidate is decoded later.
#ifndef SYSREWRITE_REWRITER_CANDIDATES_H_
#define SYSREWRITE_REWRITER_CANDIDATES_H_

#include <vector>

#include "rewriter/elf_image.h"

namespace sysrewrite {

enum class PairKind : uint8_t {
  kSyscall,   // 0F 05
  kSysenter,  // 0F 34
  kInt80,     // CD 80
};

struct Candidate {
  Vaddr address;
  PairKind kind = PairKind::kSyscall;
};

// Every such pair in the file part of every executable segment, ascending.
std::vector<Candidate> find_candidates(const ElfImage& image);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_CANDIDATES_H_
