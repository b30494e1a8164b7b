#include "rewriter/verify_forbidden.h"

#include <fmt/format.h>

#include <algorithm>

namespace sysrewrite {

ForbiddenSet::ForbiddenSet(const std::vector<SiteReading>& sites) {
  for (const SiteReading& site : sites)
    if (site.record.tier != Tier::kNative) add_site(site);
  std::sort(all_.begin(), all_.end(),
            [](const Forbidden& a, const Forbidden& b) { return a.address < b.address; });
}

void ForbiddenSet::add(Vaddr address, Vaddr site, Forbids forbids) {
  all_.push_back({address.value, site, forbids});
  filter_[slot(address.value) / 64] |= uint64_t{1} << (slot(address.value) % 64);
}

void ForbiddenSet::add_site(const SiteReading& site) {
  constexpr uint64_t kJumpSize = 5;
  const bool window = site.record.tier == Tier::kWindow;
  // Poison stands there where the jump ends before it, and the trap serves whoever comes.
  const bool poisoned = static_cast<uint64_t>(site.site - site.window) >= kJumpSize;
  // `from` 1: the instruction's own start is no forbidden entry.
  const auto starts = [&](const Instruction& in, unsigned from) {
    for (unsigned i = from; i <= in.prefixes; ++i)
      add(in.address + i, site.site, Forbids::kEveryone);
    for (unsigned i = in.prefixes + 1U; i < in.length; ++i)
      add(in.address + i, site.site, Forbids::kInstructions);
  };
  bool first = true;
  for (const Instruction& in : site.before) {
    starts(in, first ? 1 : 0);
    first = false;
  }
  starts(site.syscall, window && !first && !poisoned ? 0 : 1);
  for (const Instruction& in : site.behind) starts(in, 0);
  if (!site.springboard) return;
  for (Vaddr at = site.padding; at < *site.springboard + kSpringboardSize; at = at + 1)
    add(at, site.site, Forbids::kEveryone);
}

const Forbidden* ForbiddenSet::look_up(uint64_t address) const {
  const auto it = std::lower_bound(all_.begin(), all_.end(), address,
                                   [](const Forbidden& f, uint64_t a) { return f.address < a; });
  return it != all_.end() && it->address == address ? &*it : nullptr;
}

void report_entry(const Forbidden& hit, uint64_t where, const char* what, Findings& findings) {
  findings.at_address({where}, what,
                      fmt::format("that it leads to {:#x}, into the patch of the site {:#x}",
                                  hit.address, hit.site.value),
                      "that nothing leads there");
}

}  // namespace sysrewrite
