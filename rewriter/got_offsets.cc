#include "rewriter/got_offsets.h"

#include <algorithm>
#include <string_view>

namespace sysrewrite {

std::vector<uint64_t> got_addresses(const ElfImage& image) {
  constexpr int64_t kDtPltgot = 3;
  std::vector<uint64_t> tables;
  const auto add = [&tables](uint64_t address) {
    if (std::find(tables.begin(), tables.end(), address) == tables.end()) tables.push_back(address);
  };
  if (const auto table = image.dynamic(kDtPltgot)) add(*table);
  if (image.sections().size() > kMostSections) return tables;
  for (const std::string_view wanted : {".got.plt", ".got"}) {
    const auto& sections = image.sections();
    const auto found = std::find_if(
        sections.begin(), sections.end(),
        [&](const elf::Shdr& section) { return image.section_name(section) == wanted; });
    if (found != sections.end()) add(found->addr);
  }
  return tables;
}

}  // namespace sysrewrite
