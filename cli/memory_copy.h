// A rewritten copy that lives in memory only.
#ifndef SYSREWRITE_CLI_MEMORY_COPY_H_
#define SYSREWRITE_CLI_MEMORY_COPY_H_

#include <optional>
#include <vector>

#include "cli/cache/entry.h"
#include "cli/descriptor.h"
#include "rewriter/result.h"
#include "trampoline/server_protocol.h"

namespace sysrewrite {

struct MemoryCopy {
  Descriptor file;
  std::vector<CodePiece> pieces;  // what is to be taken from it, besides headers and tail
};

// A file as it was opened: what it is read by, and its bytes.
struct Original {
  int descriptor;
  uint64_t size;
};

// A memory file with headers, pieces and tail of the rewritten contents, sealed against any change:
// neither this descriptor nor another can write. Nothing where the original is not what the patches
// say that they replace, headers included.
Result<std::optional<MemoryCopy>> make_memory_copy(const Original& original,
                                                   const OutputView& output);

// The same copy in one piece, for a file that is asked for again and again: a mapping fewer costs
// more than a page that is there already. The code between the pieces is read from the original,
// and the rest of its segment, where that is not large. Nothing where there is nothing to gain,
// where it would be too large, or where the system refuses; whether the original is untouched has
// to be asked afterwards.
std::optional<MemoryCopy> in_one_piece(const MemoryCopy& copy, const Original& original);

// The pages that hold a patch, ascending, no more than kMostPieces pieces. Near ones are one piece.
std::vector<CodePiece> pieces_of(const std::vector<PatchView>& patches);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_MEMORY_COPY_H_
