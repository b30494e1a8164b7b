// The few address ranges that a scan over a whole file asks about, with a filter in front that
// answers nearly every question with one load.
#ifndef SYSREWRITE_REWRITER_RANGE_SET_H_
#define SYSREWRITE_REWRITER_RANGE_SET_H_

#include <algorithm>
#include <array>
#include <vector>

#include "trampoline/address.h"

namespace sysrewrite {

struct Range {
  Vaddr from;
  Vaddr to;  // exclusive
};

class RangeSet {
 public:
  void add(Vaddr from, Vaddr to) {
    if (to <= from) return;
    ranges_.push_back({from, to});
    lowest_ = std::min(lowest_, from.value);
    highest_ = std::max(highest_, to.value);
    for (uint64_t block = from.value >> kBlockShift; block <= (to.value - 1) >> kBlockShift;
         ++block)
      filter_[block % kBlocks / 64] |= uint64_t{1} << (block % 64);
  }

  // Call once after the last add() and before contains().
  void seal() {
    std::sort(ranges_.begin(), ranges_.end(),
              [](const Range& a, const Range& b) { return a.from < b.from; });
    size_t kept = 0;
    for (const Range& range : ranges_) {
      if (kept != 0 && range.from <= ranges_[kept - 1].to)
        ranges_[kept - 1].to = std::max(ranges_[kept - 1].to, range.to);
      else
        ranges_[kept++] = range;
    }
    ranges_.resize(kept);
  }

  bool contains(uint64_t address) const {
    if (address - lowest_ >= highest_ - lowest_) return false;
    const uint64_t block = address >> kBlockShift;
    if ((filter_[block % kBlocks / 64] >> (block % 64) & 1) == 0) return false;
    const auto after =
        std::upper_bound(ranges_.begin(), ranges_.end(), address,
                         [](uint64_t a, const Range& r) { return a < r.from.value; });
    return after != ranges_.begin() && address < (after - 1)->to.value;
  }

  bool empty() const { return ranges_.empty(); }
  const std::vector<Range>& ranges() const { return ranges_; }

 private:
  static constexpr unsigned kBlockShift = 4;
  static constexpr uint64_t kBlocks = 65536;

  std::vector<Range> ranges_;
  std::array<uint64_t, kBlocks / 64> filter_{};
  uint64_t lowest_ = UINT64_MAX;
  uint64_t highest_ = 0;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_RANGE_SET_H_
