// Which of several sections, as verify reads them, hold the same bytes or addresses.
#ifndef SYSREWRITE_REWRITER_VERIFY_OVERLAP_H_
#define SYSREWRITE_REWRITER_VERIFY_OVERLAP_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace sysrewrite {

// Bytes [from, to) of a section.
struct Extent {
  uint64_t from = 0, to = 0;
  uint64_t section = 0;
};

struct Overlap {
  uint64_t lower = 0, higher = 0;  // indices of sections
};

// The first two that share something, by where that lies. Empty ones share nothing.
inline std::optional<Overlap> overlap_of(std::vector<Extent> extents) {
  std::sort(extents.begin(), extents.end(),
            [](const Extent& a, const Extent& b) { return a.from < b.from; });
  const Extent* before = nullptr;
  for (const Extent& extent : extents) {
    if (extent.from >= extent.to) continue;
    if (before != nullptr && extent.from < before->to)
      return Overlap{std::min(before->section, extent.section),
                     std::max(before->section, extent.section)};
    before = &extent;
  }
  return std::nullopt;
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_OVERLAP_H_
