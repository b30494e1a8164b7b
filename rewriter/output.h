// The bytes of the output: what to change in a copy of the input, and what to append.
#ifndef SYSREWRITE_REWRITER_OUTPUT_H_
#define SYSREWRITE_REWRITER_OUTPUT_H_

#include <vector>

#include "rewriter/embedding.h"
#include "rewriter/layout.h"
#include "rewriter/start.h"
#include "rewriter/stub_sections.h"

namespace sysrewrite {

struct BytePatch {
  FileOffset offset;
  std::vector<std::byte> bytes;
};

// Nearly all of a large output is a copy of its input, so only the difference is held in memory.
struct OutputBytes {
  std::vector<BytePatch> patches;  // ascending, disjoint, inside the input
  // Zeros from the input's end to here; where this lies inside the input, the rest is cut off.
  FileOffset tail_offset;
  std::vector<std::byte> tail;  // the end of the file
};

// Everything that was decided; `embedding` is null unless the trampoline gets segments.
struct Decisions {
  const ElfImage& image;
  const Sites& sites;
  const Plan& plan;
  const StartPlan& start;
  const Options& options;
  const std::optional<StubSections>& sections;
  const Embedding* embedding = nullptr;
};

// Cannot fail: everything that could was decided in the plan. Aborts on a broken invariant.
OutputBytes assemble(const Decisions& decided, const Layout& layout);

// Bytes of the metadata, which do not depend on where the layout puts anything.
uint64_t metadata_size(const Decisions& decided, const Layout& layout);

// The whole output in one buffer, for tests and for those who want it in memory.
std::vector<std::byte> materialize(ByteView input, const OutputBytes& output);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_OUTPUT_H_
