#include "rewriter/symbol_names.h"

#include <fmt/format.h>

#include <algorithm>

namespace sysrewrite {

SymbolNames::SymbolNames(const ElfImage& image) {
  for_each_symbol(image, [&](const Symbol& symbol) {
    if (names_code(image, symbol) && !symbol.name().empty()) symbols_.push_back(symbol);
  });
  // At one address: labels, then functions, the shorter name last, since aliases add underscores.
  const auto order = [](const Symbol& symbol) {
    return std::tuple(symbol.address, symbol.type != elf::kSttNotype, ~symbol.name().size(),
                      symbol.name());
  };
  std::sort(symbols_.begin(), symbols_.end(),
            [&order](const Symbol& a, const Symbol& b) { return order(a) < order(b); });
}

const Symbol* SymbolNames::find(Vaddr address) const {
  auto at = std::upper_bound(symbols_.begin(), symbols_.end(), address,
                             [](Vaddr a, const Symbol& symbol) { return a < symbol.address; });
  // A few steps back: small functions and labels may stand inside a large one.
  for (int steps = 0; at != symbols_.begin() && steps < 16; ++steps) {
    const Symbol& symbol = *--at;
    if (symbol.size == 0 || address.value - symbol.address.value < symbol.size) return &symbol;
  }
  return nullptr;
}

std::string SymbolNames::name_of(Vaddr address) const {
  const Symbol* symbol = find(address);
  if (symbol == nullptr) return {};
  const uint64_t offset = address.value - symbol->address.value;
  return offset == 0 ? std::string(symbol->name())
                     : fmt::format("{}+{:#x}", symbol->name(), offset);
}

std::string_view SymbolNames::function_of(Vaddr address) const {
  const Symbol* symbol = find(address);
  return symbol == nullptr ? std::string_view() : symbol->name();
}

}  // namespace sysrewrite
