#include "rewriter/selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "rewriter/symbols.h"

namespace sysrewrite {

namespace {

std::optional<uint64_t> parse_address(std::string_view text) {
  if (text.substr(0, 2) != "0x" || text.size() < 3) return std::nullopt;
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data() + 2, end, value, 16);
  if (result.ec != std::errc{} || result.ptr != end) return std::nullopt;
  return value;
}

// Every function of that name: local ones may share it. Without a size, up to the next symbol.
std::vector<SiteSelector> functions_named(const ElfImage& image, const std::string& name) {
  std::vector<SiteSelector> found;
  std::set<uint64_t> starts;
  for_each_symbol(image, [&](const Symbol& symbol) {
    if (!names_code(image, symbol)) return;
    starts.insert(symbol.address.value);
    if (symbol.name() != name) return;
    const auto end = checked_add(symbol.address.value, symbol.size);
    found.push_back({symbol.address, {end.value_or(UINT64_MAX)}, {}});
  });
  for (SiteSelector& selector : found) {
    if (selector.to != selector.from) continue;
    const auto next = starts.upper_bound(selector.from.value);
    selector.to = {next == starts.end() ? UINT64_MAX : *next};
  }
  return found;
}

std::optional<Error> resolve(const ElfImage& image, std::vector<SiteSelector>& selectors) {
  std::vector<SiteSelector> resolved;
  for (const SiteSelector& selector : selectors) {
    if (selector.symbol.empty()) {
      resolved.push_back(selector);
      continue;
    }
    const auto functions = functions_named(image, selector.symbol);
    if (functions.empty())
      return Error{ErrorCode::kOptions, std::nullopt,
                   fmt::format("there is no function '{}' in its symbol tables; name an address as "
                               "0x401000, or a range as 0x401000-0x402000",
                               selector.symbol)};
    resolved.insert(resolved.end(), functions.begin(), functions.end());
  }
  selectors = std::move(resolved);
  return std::nullopt;
}

bool any_holds(const std::vector<SiteSelector>& selectors, Vaddr site) {
  return std::any_of(selectors.begin(), selectors.end(), [site](const SiteSelector& selector) {
    return site >= selector.from && site < selector.to;
  });
}

}  // namespace

std::optional<SiteSelector> parse_selector(const std::string& text) {
  if (text.empty()) return std::nullopt;
  if (text.substr(0, 2) != "0x") return SiteSelector{{0}, {0}, text};
  const size_t dash = text.find('-');
  const auto from = parse_address(text.substr(0, dash));
  if (!from || *from == UINT64_MAX) return std::nullopt;
  if (dash == std::string::npos) return SiteSelector{{*from}, {*from + 1}, {}};
  const auto to = parse_address(std::string_view(text).substr(dash + 1));
  if (!to || *to <= *from) return std::nullopt;
  return SiteSelector{{*from}, {*to}, {}};
}

Result<Options> resolve_selectors(const ElfImage& image, const Options& options) {
  Options resolved = options;
  for (auto* selectors : {&resolved.only, &resolved.exclude})
    if (auto error = resolve(image, *selectors)) return *error;
  return resolved;
}

bool is_selected(const Options& options, Vaddr site) {
  if (!options.only.empty() && !any_holds(options.only, site)) return false;
  return !any_holds(options.exclude, site);
}

}  // namespace sysrewrite
