// Which of several claims to the same bytes, or addresses, cannot all hold.
#ifndef SYSREWRITE_REWRITER_OVERLAP_H_
#define SYSREWRITE_REWRITER_OVERLAP_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace sysrewrite {

// Bytes [from, to), and who claims them.
struct Claim {
  uint64_t from = 0, to = 0;
  uint64_t by = 0;
};

// Two that share a byte, by their order, or nothing. Empty ones share none.
inline std::optional<std::pair<Claim, Claim>> find_overlap(std::vector<Claim> claims) {
  std::erase_if(claims, [](const Claim& claim) { return claim.to <= claim.from; });
  std::sort(claims.begin(), claims.end(), [](const Claim& a, const Claim& b) {
    return std::pair(a.from, a.by) < std::pair(b.from, b.by);
  });
  const auto found = std::adjacent_find(
      claims.begin(), claims.end(), [](const Claim& a, const Claim& b) { return b.from < a.to; });
  if (found == claims.end()) return std::nullopt;
  const auto [first, second] =
      std::minmax(*found, *(found + 1), [](const Claim& a, const Claim& b) { return a.by < b.by; });
  return std::pair(first, second);
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_OVERLAP_H_
