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
  // The filter has a bit for each 2^block_shift bytes: more than the ranges are long, or most bits
  // are set, and adding them takes long.
  explicit RangeSet(unsigned block_shift = 4) : block_shift_(block_shift) {}

  void add(Vaddr from, Vaddr to) {
    if (to <= from) return;
    ranges_.push_back({from, to});
    lowest_ = std::min(lowest_, from.value);
    highest_ = std::max(highest_, to.value);
    const uint64_t first = from.value >> block_shift_;
    const uint64_t blocks = ((to.value - 1) >> block_shift_) - first + 1;
    for (uint64_t i = 0; i < std::min(blocks, kBlocks); ++i)
      filter_[(first + i) % kBlocks / 64] |= uint64_t{1} << ((first + i) % 64);
  }

  // Call once after the last add() and before asking.
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
    const uint64_t block = address >> block_shift_;
    if ((filter_[block % kBlocks / 64] >> (block % 64) & 1) == 0) return false;
    const auto range = first_ending_behind(address);
    return range != ranges_.end() && address >= range->from.value;
  }

  // The first range with a byte behind `address` or at it, or end(). Those that follow ascend.
  std::vector<Range>::const_iterator first_ending_behind(uint64_t address) const {
    return std::upper_bound(ranges_.begin(), ranges_.end(), address,
                            [](uint64_t a, const Range& r) { return a < r.to.value; });
  }

  bool empty() const { return ranges_.empty(); }
  uint64_t lowest() const { return lowest_; }    // UINT64_MAX where empty
  uint64_t highest() const { return highest_; }  // exclusive; 0 where empty
  const std::vector<Range>& ranges() const { return ranges_; }

 private:
  static constexpr uint64_t kBlocks = 65536;

  unsigned block_shift_;
  std::vector<Range> ranges_;
  std::array<uint64_t, kBlocks / 64> filter_{};
  uint64_t lowest_ = UINT64_MAX;
  uint64_t highest_ = 0;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_RANGE_SET_H_
