#include "rewriter/symbol_names.h"

#include <fmt/format.h>

#include <algorithm>

namespace sysrewrite {

SymbolNames::SymbolNames(const ElfImage& image) {
  for_each_symbol(image, [&](const Symbol& symbol) {
    if (!names_code(image, symbol)) return;
    const std::string_view name = symbol.name();
    if (!name.empty())
      symbols_.push_back({symbol.address, symbol.size, symbol.type != elf::kSttNotype, name});
  });
  // At one address: labels, then functions, the shorter name last, since aliases add underscores.
  // Aliases of one length are told apart by their first bytes: all of them may be one long name.
  constexpr size_t kCompared = 256;
  const auto order = [](const Named& named) {
    return std::tuple(named.address, named.function, ~named.name.size(),
                      named.name.substr(0, kCompared));
  };
  std::stable_sort(symbols_.begin(), symbols_.end(),
                   [&order](const Named& a, const Named& b) { return order(a) < order(b); });
}

const SymbolNames::Named* SymbolNames::find(Vaddr address) const {
  auto at = std::upper_bound(symbols_.begin(), symbols_.end(), address,
                             [](Vaddr a, const Named& named) { return a < named.address; });
  // A few steps back: small functions and labels may stand inside a large one.
  for (int steps = 0; at != symbols_.begin() && steps < 16; ++steps) {
    const Named& named = *--at;
    if (named.size == 0 || address.value - named.address.value < named.size) return &named;
  }
  return nullptr;
}

std::string SymbolNames::name_of(Vaddr address) const {
  const Named* named = find(address);
  if (named == nullptr) return {};
  std::string name(named->name.substr(0, kLongestShown));
  if (name.size() < named->name.size()) name += "...";
  const uint64_t offset = address.value - named->address.value;
  return offset == 0 ? name : fmt::format("{}+{:#x}", name, offset);
}

std::string_view SymbolNames::function_of(Vaddr address) const {
  const Named* named = find(address);
  return named == nullptr ? std::string_view() : named->name;
}

}  // namespace sysrewrite
