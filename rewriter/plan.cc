#include "rewriter/plan.h"

#include <algorithm>
#include <map>

#include "rewriter/selection.h"

// How a site gets its tier.
//
//   A  the instruction before is 5 bytes or longer, moves, and nothing may jump to the syscall
//
//   B  dead padding is in reach
//
//   A  in spite of a possible jump to the syscall, which meets the poison
//
//   C  the function's whole control flow is known not to enter the window, unless at the syscall
//      where the jump ends before it, and poison stands there, too
//
//   D  else
//
// No tier where an instruction reads the syscall's own bytes as data.
//
// Sites take their bytes in that order of tiers, not of addresses, so that a costly window never
// takes bytes that a cheap patch of its neighbour needs.

namespace sysrewrite {

namespace {

constexpr uint64_t kJumpSize = 5;
constexpr size_t kMostDisplaced = 4;  // instructions on each side of the syscall

// Bytes that a patch has taken, or that a site cannot do without.
class Claims {
 public:
  explicit Claims(const Sites& sites) {
    for (const Site& site : sites.syscalls)
      sites_[site.instruction.address.value] = site.instruction.end().value;
  }

  // `own`: the site that asks; its own instruction is no obstacle.
  bool free(Vaddr from, Vaddr to, Vaddr own) const {
    return !overlaps(taken_, from, to, UINT64_MAX) && !overlaps(sites_, from, to, own.value);
  }
  void take(Vaddr from, Vaddr to) { taken_[from.value] = to.value; }

 private:
  using Spans = std::map<uint64_t, uint64_t>;

  static bool overlaps(const Spans& spans, Vaddr from, Vaddr to, uint64_t except) {
    auto it = spans.lower_bound(to.value);
    // Spans are disjoint and at most 64 bytes long.
    while (it != spans.begin()) {
      --it;
      if (it->first + 64 < from.value) return false;
      if (it->first != except && it->second > from.value) return true;
    }
    return false;
  }

  Spans taken_;
  Spans sites_;
};

const Instruction* instruction_before(const Site& site) {
  if (site.index == 0) return nullptr;
  const Instruction& before = site.around.code[site.index - 1];
  if (before.end() != site.instruction.address) return nullptr;
  // What flow does not reach, in front of what it does, may be data.
  if (site.instruction.reached && !before.reached) return nullptr;
  return &before;
}

bool covers_alone(const Instruction& before) {
  return before.length >= kJumpSize && before.movable && before.special == Special::kNone;
}

// Tier A, too, asks for pointers then: another instruction starts behind each prefix.
bool has_inner_start(const Site& site) {
  const Instruction* before = instruction_before(site);
  return site.instruction.prefixes != 0 || (before != nullptr && before->prefixes != 0);
}

struct Shape {
  std::vector<Instruction> before, behind;

  Vaddr from(const Site& site) const {
    return before.empty() ? site.instruction.address : before.front().address;
  }
  Vaddr to(const Site& site) const {
    return behind.empty() ? site.instruction.end() : behind.back().end();
  }
  uint64_t size(const Site& site) const { return static_cast<uint64_t>(to(site) - from(site)); }
  // Poison takes both of its bytes, so whoever jumps there is served by the trap.
  bool keeps_syscall(const Site& site) const {
    return static_cast<uint64_t>(site.instruction.address - from(site)) >= kJumpSize;
  }
};

// `count` instructions directly in front (or behind), or nothing where one of them is not known.
std::optional<std::vector<Instruction>> run_before(const Site& site, size_t count) {
  if (site.index < count) return std::nullopt;
  std::vector<Instruction> run;
  for (size_t i = site.index - count; i < site.index; ++i) {
    const Instruction& in = site.around.code[i];
    if (in.end() != site.around.code[i + 1].address) return std::nullopt;
    if (site.instruction.reached && !in.reached) return std::nullopt;
    run.push_back(in);
  }
  return run;
}

std::optional<std::vector<Instruction>> run_behind(const Site& site, size_t count) {
  if (site.index + count >= site.around.code.size()) return std::nullopt;
  std::vector<Instruction> run;
  for (size_t i = site.index + 1; i <= site.index + count; ++i) {
    const Instruction& in = site.around.code[i];
    if (in.address != site.around.code[i - 1].end()) return std::nullopt;
    if (site.instruction.reached && !in.reached) return std::nullopt;
    run.push_back(in);
  }
  return run;
}

// Every window of tier C that could be: the shortest on each count, and the shortest whose jump
// ends before the syscall; those without instructions behind the syscall first, since a stub
// without them is left by its jump directly.
std::vector<Shape> window_shapes(const Site& site) {
  std::vector<Shape> shapes;
  for (size_t behind = 0; behind <= kMostDisplaced; ++behind) {
    bool has_any = false;
    for (size_t before = 0; before <= kMostDisplaced; ++before) {
      auto front = run_before(site, before);
      auto back = run_behind(site, behind);
      if (!front || !back) continue;
      Shape shape{std::move(*front), std::move(*back)};
      const bool is_whole = shape.keeps_syscall(site);
      if (shape.size(site) < kJumpSize || (has_any && !is_whole)) continue;
      has_any = true;
      shapes.push_back(std::move(shape));
      if (is_whole) break;
    }
  }
  return shapes;
}

// Where a window may begin and end at most, whatever its shape.
Vaddr first_displaced(const Site& site) {
  const auto& code = site.around.code;
  size_t i = site.index;
  while (i > 0 && site.index - i < kMostDisplaced && code[i - 1].end() == code[i].address) --i;
  return code[i].address;
}

Vaddr end_of_displaced(const Site& site) {
  const auto& code = site.around.code;
  size_t i = site.index;
  while (i + 1 < code.size() && i - site.index < kMostDisplaced &&
         code[i].end() == code[i + 1].address)
    ++i;
  return code[i].end();
}

// Up to what a short jump reaches of it, and the springboard's own length. Its front counts even
// where no short jump reaches: whoever enters there runs on into the springboard.
void add_padding(const Site& site, const Range& run, RangeSet& ranges) {
  constexpr uint64_t kAhead = 127 + kSpringboardSize;
  ranges.add(run.from, std::min(run.to, site.instruction.address + 2 + kAhead));
}

class Planner {
 public:
  Planner(const Sites& sites, const FunctionIndex& functions, const Evidence& evidence,
          const Placement& placement, const Options& options)
      : sites_(sites),
        functions_(functions),
        evidence_(evidence),
        placement_(placement),
        options_(options),
        claims_(sites) {}

  Plan plan() {
    std::vector<std::optional<PlannedSite>> fates(sites_.syscalls.size());
    for (size_t i = 0; i < fates.size(); ++i) fates[i] = leave(sites_.syscalls[i]);
    for (const auto attempt : {&Planner::try_covering, &Planner::try_springboard,
                               &Planner::try_covering_anyway, &Planner::try_window}) {
      for (size_t i = 0; i < fates.size(); ++i)
        if (!fates[i]) fates[i] = (this->*attempt)(sites_.syscalls[i]);
    }
    Plan plan;
    for (size_t i = 0; i < fates.size(); ++i)
      plan.sites.push_back(fates[i] ? std::move(*fates[i]) : last_resort(sites_.syscalls[i]));
    return plan;
  }

  std::vector<const Site*> contested() {
    std::vector<const Site*> rest;
    for (const Site& site : sites_.syscalls)
      if (!leave(site) && (!try_covering(site) || has_inner_start(site))) rest.push_back(&site);
    return rest;
  }

 private:
  using Attempt = std::optional<PlannedSite>;

  Attempt leave_excluded(const Site& site) const {
    if (is_selected(options_, site.instruction.address)) return std::nullopt;
    return PlannedSite{&site, LeftNative{}, Reason::kExcluded};
  }

  // No tier leaves the pair as it is, for who reads it, or for whom it is another instruction.
  Attempt leave_whole(const Site& site) const {
    const Vaddr at = site.instruction.address, end = site.instruction.end();
    if (Evidence::any_in(evidence_.surely_accessed, at, end))
      return PlannedSite{&site, LeftNative{}, Reason::kReadAsData};
    if (enters_middle(at, end)) return PlannedSite{&site, LeftNative{}, Reason::kBranchIntoWindow};
    return std::nullopt;
  }
  Attempt leave(const Site& site) const {
    Attempt fate = leave_excluded(site);
    return fate ? std::move(fate) : leave_whole(site);
  }

  bool branch_in(Vaddr from, Vaddr to) const {
    return Evidence::any_in(evidence_.branch_targets, from, to);
  }
  bool relocated(Vaddr from, Vaddr to) const {
    return Evidence::any_in(evidence_.relocated_bytes, from, to);
  }
  // Somebody else writes there, when the program starts or while it runs.
  bool written_over(Vaddr from, Vaddr to) const {
    return relocated(from, to) || Evidence::any_in(evidence_.patch_points, from, to);
  }
  // Somebody reads there what is not to change, or writes. In the pair itself only what is certain
  // counts, and did (leave_whole): a superset must not cost a site.
  bool accessed(Vaddr from, Vaddr to) const {
    return Evidence::any_in(evidence_.accessed, from, to);
  }
  bool displaces_data(const Site& site, Vaddr from, Vaddr to) const {
    return accessed(from, site.instruction.address) || accessed(site.instruction.end(), to);
  }
  bool entered_directly(const Site& site) const {
    const Vaddr at = site.instruction.address;
    return branch_in(at, at + 1) || functions_.start_in(at, at + 1);
  }

  // `own`: the site that asks.
  bool free(Vaddr from, Vaddr to, Vaddr own) const {
    return !Evidence::any_in(evidence_.seams, from + 1, to) && claims_.free(from, to, own);
  }

  // True where one of these bytes belongs to an instruction that overlaps those known, and that
  // something leads to.
  bool read_otherwise(const Site& site, Vaddr from, Vaddr to) const {
    const auto& others = site.around.overlapping;
    return enters_middle(from, to) ||
           std::any_of(others.begin(), others.end(), [from, to](const Outline::Span& other) {
             return other.address < to && other.end() > from;
           });
  }
  // The same by a branch of another function.
  bool enters_middle(Vaddr from, Vaddr to) const {
    const auto& entries = evidence_.inner_entries;
    const auto behind = std::partition_point(entries.begin(), entries.end(),
                                             [to](const Range& entry) { return entry.from < to; });
    const Vaddr first = from - std::min<uint64_t>(kLongestInstruction, from.value);
    for (auto entry = behind; entry != entries.begin() && (entry - 1)->from >= first; --entry)
      if ((entry - 1)->to > from) return true;
    return false;
  }
  // Who may lead behind a prefix of the instruction, where another one begins, or kNone.
  Reason entered_behind_prefix(const Site& site, const Instruction& in) const {
    const Vaddr from = in.address + 1, to = from + in.prefixes;
    if (branch_in(from, to)) return Reason::kBranchIntoWindow;
    if (Evidence::any_in(evidence_.pointers, from, to)) return Reason::kPointerIntoWindow;
    const bool hidden = Evidence::any_in(evidence_.taken, from, to) ||
                        Evidence::any_in(site.around.hidden_entries, from, to);
    return hidden ? Reason::kHiddenEntryInWindow : Reason::kNone;
  }
  // The syscall instruction's inside, where no patch of it can serve who comes.
  Reason entered_inside(const Site& site) const {
    const Vaddr at = site.instruction.address, end = site.instruction.end();
    if (functions_.start_in(at + 1, end)) return Reason::kSymbolInWindow;
    if (read_otherwise(site, at, end)) return Reason::kBranchIntoWindow;
    return entered_behind_prefix(site, site.instruction);
  }
  bool is_entered_inside(const Site& site) const { return entered_inside(site) != Reason::kNone; }

  // Displaced operands must be in reach from wherever the stub will lie.
  bool in_reach(const std::vector<Instruction>& displaced) const {
    return std::all_of(displaced.begin(), displaced.end(), [this](const Instruction& in) {
      return !in.rip_relative() || placement_.reaches(in.target);
    });
  }

  Attempt cover(const Site& site, Reason reason) {
    const Instruction& before = *instruction_before(site);
    const Vaddr from = before.address, to = site.instruction.end();
    if (!free(from, to, site.instruction.address)) return std::nullopt;
    claims_.take(from, to);
    return PlannedSite{
        &site, WindowJump{Tier::kInstruction, from, static_cast<uint8_t>(to - from), {before}, {}},
        reason};
  }

  bool can_cover(const Site& site) const {
    const Instruction* before = instruction_before(site);
    if (!options_.tiers.a || before == nullptr || !covers_alone(*before)) return false;
    const Vaddr at = site.instruction.address;
    return entered_behind_prefix(site, *before) == Reason::kNone &&
           !functions_.start_in(before->address + 1, at) && !is_entered_inside(site) &&
           !read_otherwise(site, before->address, at) &&
           !written_over(before->address, site.instruction.end()) &&
           !displaces_data(site, before->address, site.instruction.end()) && in_reach({*before}) &&
           placement_.reaches(at);
  }

  Attempt try_covering(const Site& site) {
    if (!can_cover(site) || entered_directly(site)) return std::nullopt;
    // An unwinder inside the stub would be misled by a moved stack pointer: better displace
    // nothing.
    if (instruction_before(site)->moves_stack) return std::nullopt;
    return cover(site, Reason::kCoversPreviousInstruction);
  }

  Attempt try_covering_anyway(const Site& site) {
    if (!can_cover(site)) return std::nullopt;
    return cover(site, entered_directly(site) ? Reason::kCoversDespiteBranch
                                              : Reason::kCoversPreviousInstruction);
  }

  Attempt try_springboard(const Site& site) {
    const Vaddr at = site.instruction.address;
    if (!options_.tiers.b || written_over(at, site.instruction.end()) || !placement_.reaches(at) ||
        is_entered_inside(site))
      return std::nullopt;
    if (!free(at, site.instruction.end(), at)) return std::nullopt;
    for (const Range& run : site.padding) {
      for (Vaddr pad = run.from; pad + kSpringboardSize <= run.to; pad = pad + 1) {
        if (!usable_springboard(site, run.from, pad)) continue;
        claims_.take(at, site.instruction.end());
        claims_.take(pad, pad + kSpringboardSize);
        const Reason reason =
            entered_directly(site) ? Reason::kBranchToSyscall : Reason::kSpringboardInReach;
        return PlannedSite{&site, SpringboardJump{pad}, reason};
      }
    }
    return std::nullopt;
  }

  // Nothing may lead to the padding in front of it either: it would run on into the springboard.
  bool usable_springboard(const Site& site, Vaddr run, Vaddr pad) const {
    const Vaddr end = pad + kSpringboardSize;
    return Rel8::between(site.instruction.address + 2, pad) && !branch_in(run, end) &&
           !Evidence::any_in(evidence_.pointers, run, end) &&
           !Evidence::any_in(evidence_.taken, run, end) && !written_over(pad, end) &&
           !accessed(run, end) && free(pad, end, site.instruction.address);
  }

  // True where one of the listed addresses is one at which the window's inside could be entered: an
  // instruction's start, or behind one of its prefixes. Others are in the middle of an instruction
  // that is known to be one, so what a scan finds there is no branch and no pointer.
  bool enters(const std::vector<uint64_t>& list, const Site& site, const Shape& shape) const {
    const auto hit = [&list](const Instruction& in, bool first) {
      const uint64_t skip = first ? 1 : 0;
      return Evidence::any_in(list, in.address + skip, in.address + in.prefixes + 1);
    };
    bool first = true;
    for (const Instruction& in : shape.before) {
      if (hit(in, first)) return true;
      first = false;
    }
    if (!shape.keeps_syscall(site) && hit(site.instruction, first)) return true;
    return std::any_of(shape.behind.begin(), shape.behind.end(),
                       [&hit](const Instruction& in) { return hit(in, false); });
  }

  // Why a window of tier C is refused, or kNone.
  Reason objection(const Site& site, const Shape& shape) const {
    const auto& function = site.around.function;
    if (!function && site.evidence != CandidateEvidence::kAgreementDecode &&
        site.evidence != CandidateEvidence::kErrorCheck)
      return Reason::kFunctionUnknown;
    if (site.around.opaque != Reason::kNone) return site.around.opaque;
    const Vaddr from = shape.from(site), to = shape.to(site);
    for (const auto* part : {&shape.before, &shape.behind})
      for (const Instruction& in : *part)
        if (!in.movable || in.moves_stack) return Reason::kNotReencodable;
    if (function && (from < function->start || to > function->end)) return Reason::kSymbolInWindow;
    if (functions_.start_in(from + 1, to)) return Reason::kSymbolInWindow;
    if (const Reason reason = entered_inside(site); reason != Reason::kNone) return reason;
    if (enters(evidence_.branch_targets, site, shape) || read_otherwise(site, from, to))
      return Reason::kBranchIntoWindow;
    if (enters(evidence_.pointers, site, shape)) return Reason::kPointerIntoWindow;
    if (enters(evidence_.taken, site, shape)) return Reason::kHiddenEntryInWindow;
    if (enters(site.around.hidden_entries, site, shape)) return Reason::kHiddenEntryInWindow;
    if (relocated(from, to)) return Reason::kRelocationInWindow;
    if (written_over(from, to)) return Reason::kPatchPointInWindow;
    if (displaces_data(site, from, to)) return Reason::kReadAsData;
    if (!free(from, to, site.instruction.address)) return Reason::kNeighbourInWindow;
    if (!in_reach(shape.before) || !in_reach(shape.behind) || !placement_.reaches(from))
      return Reason::kOutOfReach;
    return Reason::kNone;
  }

  Attempt try_window(const Site& site) {
    if (!options_.tiers.c) return std::nullopt;
    for (Shape& shape : window_shapes(site)) {
      if (objection(site, shape) != Reason::kNone) continue;
      const Vaddr from = shape.from(site), to = shape.to(site);
      claims_.take(from, to);
      const Reason reason = shape.before.empty()   ? Reason::kWindowBehind
                            : shape.behind.empty() ? Reason::kWindowBefore
                                                   : Reason::kWindowAcross;
      return PlannedSite{&site,
                         WindowJump{Tier::kWindow, from, static_cast<uint8_t>(to - from),
                                    std::move(shape.before), std::move(shape.behind)},
                         reason};
    }
    return std::nullopt;
  }

  // The first objection to the shortest window says best what is missing.
  Reason what_is_missing(const Site& site) const {
    if (site.around.code.size() <= 1) return Reason::kLoneSyscall;
    if (!placement_.reaches(site.instruction.address)) return Reason::kOutOfReach;
    for (const Shape& shape : window_shapes(site)) {
      const Reason reason = objection(site, shape);
      // A window that nothing speaks against is there, but its tier is not among --tiers.
      return reason != Reason::kNone ? reason : Reason::kExcluded;
    }
    return Reason::kNoRoom;
  }

  PlannedSite last_resort(const Site& site) {
    const Vaddr at = site.instruction.address, end = site.instruction.end();
    if (relocated(at, end)) return {&site, LeftNative{}, Reason::kRelocationInWindow};
    // The trap needs a stub too, and that stub a way back.
    if (!placement_.reaches(at)) return {&site, LeftNative{}, Reason::kOutOfReach};
    if (const Reason entered = entered_inside(site); entered != Reason::kNone)
      return {&site, LeftNative{}, entered};
    const Reason reason = what_is_missing(site);
    if (options_.on_unpatchable == OnUnpatchable::kKeep || !options_.tiers.d)
      return {&site, LeftNative{}, reason};
    return {&site, Trap{}, reason};
  }

  const Sites& sites_;
  const FunctionIndex& functions_;
  const Evidence& evidence_;
  const Placement& placement_;
  const Options& options_;
  Claims claims_;
};

}  // namespace

Tier PlannedSite::tier() const {
  if (const auto* jump = std::get_if<WindowJump>(&fate)) return jump->tier;
  if (std::holds_alternative<SpringboardJump>(fate)) return Tier::kSpringboard;
  return std::holds_alternative<Trap>(fate) ? Tier::kTrap : Tier::kNative;
}

Vaddr PlannedSite::window() const {
  const auto* jump = std::get_if<WindowJump>(&fate);
  return jump != nullptr ? jump->window : site->instruction.address;
}

uint8_t PlannedSite::window_size() const {
  if (const auto* jump = std::get_if<WindowJump>(&fate)) return jump->size;
  return std::holds_alternative<LeftNative>(fate) ? uint8_t{0} : site->instruction.length;
}

size_t Plan::count(Tier tier) const {
  return static_cast<size_t>(std::count_if(
      sites.begin(), sites.end(), [tier](const PlannedSite& s) { return s.tier() == tier; }));
}

RangeSet patch_ranges(const Sites& sites) {
  RangeSet ranges;
  for (const Site& site : sites.syscalls) {
    ranges.add(first_displaced(site), end_of_displaced(site));
    for (const Range& run : site.padding) add_padding(site, run, ranges);
  }
  ranges.seal();
  return ranges;
}

RangeSet inner_bytes(const Sites& sites) {
  RangeSet middles;
  for (const Site& site : sites.syscalls) {
    const Vaddr from = first_displaced(site), to = end_of_displaced(site);
    for (const Instruction& in : site.around.code)
      if (in.address >= from && in.end() <= to) middles.add(in.address + in.prefixes + 1, in.end());
  }
  middles.seal();
  return middles;
}

std::vector<const Site*> contested_sites(const Sites& sites, const FunctionIndex& functions,
                                         const Evidence& evidence, const Placement& placement,
                                         const Options& options) {
  return Planner(sites, functions, evidence, placement, options).contested();
}

RangeSet contested_ranges(const std::vector<const Site*>& sites) {
  RangeSet ranges;
  for (const Site* site : sites) {
    for (const Shape& shape : window_shapes(*site)) ranges.add(shape.from(*site), shape.to(*site));
    ranges.add(site->instruction.address, site->instruction.end());
    if (const Instruction* before = instruction_before(*site))
      ranges.add(before->address, before->end());
    for (const Range& run : site->padding) add_padding(*site, run, ranges);
  }
  ranges.seal();
  return ranges;
}

Plan make_plan(const Sites& sites, const FunctionIndex& functions, const Evidence& evidence,
               const Placement& placement, const Options& options) {
  return Planner(sites, functions, evidence, placement, options).plan();
}

}  // namespace sysrewrite
