#include "rewriter/verify_code_sections.h"

#include <algorithm>

#include "rewriter/verify_symbols.h"

namespace sysrewrite {

CodeSections::CodeSections(const OriginalImage& original) {
  constexpr uint64_t kCode = elf::kShfAlloc | elf::kShfExecInstr;
  for (const elf::Shdr& section : original_sections(original))
    if (const auto end = checked_add(section.addr, section.size);
        end && (section.flags & kCode) == kCode)
      sections_.emplace_back(section.addr, *end);
  std::sort(sections_.begin(), sections_.end());
  for (size_t i = 1; i < sections_.size(); ++i)
    sections_[i].second = std::max(sections_[i].second, sections_[i - 1].second);
  const uint64_t entry = original.header().entry;
  if (entry != 0 && !may_hold(entry)) sections_.clear();
}

bool CodeSections::may_hold(uint64_t address) const {
  const auto behind =
      std::partition_point(sections_.begin(), sections_.end(),
                           [address](const auto& section) { return section.first <= address; });
  return sections_.empty() || (behind != sections_.begin() && address < (behind - 1)->second);
}

}  // namespace sysrewrite
