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
    if (!symbol.is_named(name)) return;
    const auto end = checked_add(symbol.address.value, symbol.size);
    found.push_back({symbol.address, {end.value_or(UINT64_MAX)}, name});
  });
  for (SiteSelector& selector : found) {
    if (selector.to != selector.from) continue;
    const auto next = starts.upper_bound(selector.from.value);
    selector.to = {next == starts.end() ? UINT64_MAX : *next};
  }
  return found;
}

// `may_miss`: a function that there is not holds no site.
std::optional<Error> resolve(const ElfImage& image, bool may_miss,
                             std::vector<SiteSelector>& selectors) {
  std::vector<SiteSelector> resolved;
  for (const SiteSelector& selector : selectors) {
    if (selector.symbol.empty()) {
      resolved.push_back(selector);
      continue;
    }
    auto functions = functions_named(image, selector.symbol);
    if (functions.empty() && may_miss) functions = {{{0}, {0}, selector.symbol}};
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

bool holds(const SiteSelector& selector, Vaddr site) {
  return site >= selector.from && site < selector.to;
}

bool any_holds(const std::vector<SiteSelector>& selectors, Vaddr site) {
  return std::any_of(selectors.begin(), selectors.end(),
                     [site](const SiteSelector& selector) { return holds(selector, site); });
}

// Several functions may share a name: it is enough that one of them holds a site.
bool matches(const SiteSelector& selector, const std::vector<SiteSelector>& all,
             const std::vector<Vaddr>& sites) {
  return std::any_of(all.begin(), all.end(), [&](const SiteSelector& other) {
    const bool is_meant =
        selector.symbol.empty() ? &other == &selector : other.symbol == selector.symbol;
    const auto site = std::lower_bound(sites.begin(), sites.end(), other.from);
    return is_meant && site != sites.end() && holds(other, *site);
  });
}

std::string unmatched_text(const SiteSelector& selector, const std::vector<Vaddr>& sites) {
  if (!selector.symbol.empty())
    return fmt::format("the function '{}' holds no site", selector.symbol);
  if (selector.to.value - selector.from.value > 1)
    return fmt::format("there is no site in {:#x}-{:#x}", selector.from.value, selector.to.value);
  const auto next = std::lower_bound(sites.begin(), sites.end(), selector.from);
  return fmt::format("there is no site at {:#x} (the {} is at {:#x})", selector.from.value,
                     next == sites.end() ? "last one" : "next one",
                     next == sites.end() ? sites.back().value : next->value);
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
    if (auto error = resolve(image, options.is_for_many, *selectors)) return *error;
  return resolved;
}

std::optional<Error> refuse_unmatched(const Options& resolved, const std::vector<Vaddr>& sites) {
  if (sites.empty() || resolved.is_for_many) return std::nullopt;
  for (const auto* selectors : {&resolved.only, &resolved.exclude})
    for (const SiteSelector& selector : *selectors)
      if (!matches(selector, *selectors, sites))
        return Error{ErrorCode::kOptions, std::nullopt,
                     fmt::format("--{}: {}; `sysrewrite inspect` lists the sites",
                                 selectors == &resolved.only ? "only" : "exclude",
                                 unmatched_text(selector, sites))};
  return std::nullopt;
}

bool is_selected(const Options& options, Vaddr site) {
  if (!options.only.empty() && !any_holds(options.only, site)) return false;
  return !any_holds(options.exclude, site);
}

}  // namespace sysrewrite
