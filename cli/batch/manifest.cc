#include "cli/batch/manifest.h"

namespace sysrewrite {

std::string Manifest::path(uint32_t index) const {
  if (index == 0) return ".";
  std::vector<uint32_t> chain;
  for (uint32_t at = index; at != 0; at = entries[at].parent) chain.push_back(at);
  std::string out;
  for (size_t at = chain.size(); at-- > 0;) {
    if (!out.empty()) out += '/';
    out += entries[chain[at]].name;
  }
  return out;
}

}  // namespace sysrewrite
