#include "rewriter/placement.h"

#include <algorithm>

namespace sysrewrite {

namespace {

// vm.mmap_min_addr as distributions set it: no program maps anything below.
constexpr uint64_t kLowestMappable = 65536;
// Behind the last segment of a position-dependent program, out of the way of its heap, which the
// kernel starts up to 1 GiB behind (arch_randomize_brk), and still in reach of the code.
constexpr uint64_t kBehindHeapStart = (uint64_t{5} << 30) / 4;
// Instructions are at most 15 bytes long: displacements count from their end.
constexpr uint64_t kReachMargin = 64;

uint64_t page_down(uint64_t value) {
  return align_down(value, kPageSize);
}

// Between the pages of a segment and those of the next; ends before it begins where there is none.
Range hole_behind(const ElfImage& image, size_t index) {
  const Segment& segment = image.segments()[index];
  return {{align_up(segment.vaddr.value + segment.memory_size, kPageSize)},
          {page_down(image.segments()[index + 1].vaddr.value)}};
}

}  // namespace

Placement Placement::choose(const ElfImage& image, Format format, uint64_t bound) {
  Placement placement;
  const auto anchor_below = [&placement, bound](uint64_t end) {
    placement.low_ = {end - bound};
    placement.high_ = {end};
    placement.anchored_high_ = true;
  };
  const auto anchor_above = [&placement, bound](uint64_t start) {
    placement.low_ = {start};
    placement.high_ = {start + bound};
  };
  const uint64_t first = page_down(image.lowest().value);
  const uint64_t last = align_up(image.highest_end().value, kPageSize);
  if (format == Format::kLitebox || image.is_library()) {
    anchor_above(last);
  } else if (image.position_independent()) {
    // Not across 0: what begins at the end of the address space and ends at its start is no range.
    anchor_below(first < bound ? 0 : first);
  } else if (first >= kLowestMappable + bound) {
    anchor_below(first);
  } else {
    anchor_above(last + kBehindHeapStart);
    for (size_t i = 0; i + 1 < image.segments().size(); ++i) {
      const Range hole = hole_behind(image, i);
      if (hole.to < hole.from || hole.to.value - hole.from.value < bound) continue;
      anchor_below(hole.to.value);
      break;
    }
  }
  return placement;
}

RangeSet Placement::all_choices(const ElfImage& image, uint64_t depth) {
  constexpr unsigned kPageShift = 12;
  RangeSet choices(kPageShift);
  const uint64_t first = page_down(image.lowest().value);
  const uint64_t last = align_up(image.highest_end().value, kPageSize);
  for (const uint64_t start : {last, last + kBehindHeapStart})
    choices.add({start}, {start + depth});
  if (image.position_independent())
    choices.add({first - std::min(first, depth)}, {first});
  else
    choices.add({std::max(first - std::min(first, depth), kLowestMappable)}, {first});
  if (image.position_independent()) choices.add({0 - depth}, {UINT64_MAX});
  for (size_t i = 0; i + 1 < image.segments().size(); ++i) {
    const Range hole = hole_behind(image, i);
    if (hole.from < hole.to)
      choices.add(std::max(hole.from, hole.to - std::min(hole.to.value, depth)), hole.to);
  }
  choices.seal();
  return choices;
}

Placement Placement::behind(const ElfImage& image, uint64_t before, uint64_t bound) {
  Placement placement;
  placement.low_ = {align_up(image.highest_end().value, kPageSize)};
  placement.high_ = placement.low_ + before + bound;
  return placement;
}

bool Placement::reaches(Vaddr from_or_to) const {
  constexpr int64_t kReach = (int64_t{1} << 31) - static_cast<int64_t>(kReachMargin);
  const int64_t to_low = from_or_to - low_;
  const int64_t to_high = from_or_to - high_;
  const auto inside = [](int64_t distance) { return distance > -kReach && distance < kReach; };
  return inside(to_low) && inside(to_high);
}

}  // namespace sysrewrite
