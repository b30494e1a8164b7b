// Each site's fate, decided and not yet done.
#ifndef SYSREWRITE_REWRITER_PLAN_H_
#define SYSREWRITE_REWRITER_PLAN_H_

#include <variant>
#include <vector>

#include "rewriter/evidence.h"
#include "rewriter/options.h"
#include "rewriter/placement.h"
#include "rewriter/sites.h"
#include "trampoline/layout.h"
#include "trampoline/reason.h"

namespace sysrewrite {

// Tier A or C: a jmp rel32 at the window's start; the instructions run in the stub.
struct WindowJump {
  Tier tier = Tier::kInstruction;
  Vaddr window;
  uint8_t size = 0;                 // bytes of the window, the syscall included
  std::vector<Instruction> before;  // displaced, in order, up to the syscall
  std::vector<Instruction> behind;  // displaced, in order, after it
};

// Tier B: a jmp rel8 in place of the syscall.
struct SpringboardJump {
  Vaddr springboard;
};

// Tier D: poison in place of the syscall.
struct Trap {};

// Left as it was.
struct LeftNative {};

using Fate = std::variant<WindowJump, SpringboardJump, Trap, LeftNative>;

struct PlannedSite {
  const Site* site = nullptr;  // in the Sites that were planned
  Fate fate;
  Reason reason = Reason::kNone;

  Tier tier() const;
  Vaddr window() const;         // its first byte
  uint8_t window_size() const;  // 0 where left native
};

struct Plan {
  std::vector<PlannedSite> sites;  // ascending by address
  size_t count(Tier tier) const;
};

// The bytes that any tier might want.
RangeSet patch_ranges(const Sites& sites);

// Of the instructions in them, the bytes behind their first one that is no prefix.
RangeSet inner_bytes(const Sites& sites);

// Sites that tier A alone does not settle, given evidence about patch_ranges(): of those, too, in
// whose windows a prefix stands, pointers may speak against it.
std::vector<const Site*> contested_sites(const Sites& sites, const FunctionIndex& functions,
                                         const Evidence& evidence, const Placement& placement,
                                         const Options& options);

// The bytes that any tier might want for them.
RangeSet contested_ranges(const std::vector<const Site*>& sites);

// Pure: the same arguments give the same plan. Bytes of two patches never overlap.
Plan make_plan(const Sites& sites, const FunctionIndex& functions, const Evidence& evidence,
               const Placement& placement, const Options& options);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_PLAN_H_
