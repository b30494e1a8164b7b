// The plan with addresses: which stub lies where, and where the trampoline goes.
#ifndef SYSREWRITE_REWRITER_LAYOUT_H_
#define SYSREWRITE_REWRITER_LAYOUT_H_

#include <vector>

#include "rewriter/plan.h"

namespace sysrewrite {

struct StubPlace {
  const PlannedSite* planned = nullptr;  // in the Plan that was laid out; never left native
  StubOffset offset;                     // from the trampoline's start
  uint8_t size = 0;                      // bytes
  uint8_t enter = 0;                     // offset of the core in the stub
};

struct Layout {
  Vaddr trampoline;              // page-aligned
  uint64_t size = 0;             // of slot and stubs, as the trailer has it; 0: no stub
  StubOffset first;              // where stubs begin, from the trampoline's start
  std::vector<StubPlace> stubs;  // in the order of the plan's sites
};

// Bytes that the trampoline of so many sites will not exceed, page-aligned.
uint64_t trampoline_bound(size_t sites);

Layout lay_out(const Plan& plan, const Placement& placement, const Options& options);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_LAYOUT_H_
