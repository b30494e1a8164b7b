#include "rewriter/layout.h"

namespace sysrewrite {

namespace {

constexpr uint8_t kJumpSize = 5;
// A window is at most 8 displaced instructions of 15 bytes.
constexpr uint64_t kLargestStub = 64 + 8 * 15 + kJumpSize;

uint8_t length_of(const std::vector<Instruction>& run) {
  unsigned sum = 0;
  for (const Instruction& in : run) sum += in.length;
  return static_cast<uint8_t>(sum);
}

}  // namespace

uint64_t trampoline_bound(size_t sites) {
  return kPageSize + align_up(sites * kLargestStub, kPageSize);
}

Layout lay_out(const Plan& plan, const Placement& placement, const Options& options) {
  Layout layout;
  const bool litebox = options.format == Format::kLitebox;
  const uint8_t core = stub_core_size(options.stub, options.native_tail);
  layout.first = {litebox ? 8 : kPageSize};
  uint64_t next = layout.first.value;
  for (const PlannedSite& site : plan.sites) {
    if (site.tier() == Tier::kNative) continue;
    StubPlace place{&site, {next}, static_cast<uint8_t>(core + kJumpSize), 0};
    if (const auto* jump = std::get_if<WindowJump>(&site.fate)) {
      place.enter = length_of(jump->before);
      place.size = static_cast<uint8_t>(place.size + place.enter + length_of(jump->behind));
    }
    layout.stubs.push_back(place);
    next += place.size;
  }
  if (layout.stubs.empty()) return layout;
  layout.size = litebox ? next : align_up(next, kPageSize);
  layout.trampoline = placement.start(align_up(layout.size, kPageSize));
  return layout;
}

}  // namespace sysrewrite
