// verify: the addresses inside a patch that nothing may lead to (verify_entries.h says which).
#ifndef SYSREWRITE_REWRITER_VERIFY_FORBIDDEN_H_
#define SYSREWRITE_REWRITER_VERIFY_FORBIDDEN_H_

#include <vector>

#include "rewriter/verify_site.h"

namespace sysrewrite {

// To whom an address is forbidden.
enum class Forbids : uint8_t {
  kInstructions,  // to what is a branch beyond doubt: another instruction would begin inside a
                  // known
  kEveryone,      // to whatever may be a branch or a pointer
};

struct Forbidden {
  uint64_t address;
  Vaddr site;
  Forbids forbids;
};

// With a filter in front that answers nearly every question with one load.
class ForbiddenSet {
 public:
  explicit ForbiddenSet(const std::vector<SiteReading>& sites);

  bool empty() const { return all_.empty(); }
  bool beyond_32_bits() const { return !empty() && all_.back().address > UINT32_MAX; }

  const Forbidden* find(uint64_t address) const {
    const bool maybe = (filter_[slot(address) / 64] >> (slot(address) % 64) & 1) != 0;
    return maybe ? look_up(address) : nullptr;
  }
  // The same, where pointers may not lead.
  const Forbidden* find_pointer(uint64_t address) const {
    const Forbidden* hit = find(address);
    return hit != nullptr && hit->forbids == Forbids::kEveryone ? hit : nullptr;
  }

 private:
  static constexpr uint64_t kSlots = uint64_t{1} << 16;
  static uint64_t slot(uint64_t address) { return address % kSlots; }

  void add_site(const SiteReading& site);
  void add(Vaddr address, Vaddr site, Forbids forbids);
  const Forbidden* look_up(uint64_t address) const;

  std::vector<Forbidden> all_;  // ascending
  std::vector<uint64_t> filter_ = std::vector<uint64_t>(kSlots / 64);
};

// `what` stands at `where` and leads to `hit`.
void report_entry(const Forbidden& hit, uint64_t where, const char* what, Findings& findings);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_FORBIDDEN_H_
