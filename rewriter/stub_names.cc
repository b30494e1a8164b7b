#include "rewriter/stub_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "rewriter/symbol_names.h"

namespace sysrewrite {

namespace {

// What a symbol calls the function, without a version; empty where it is nothing to print.
std::string printable(std::string_view name) {
  constexpr size_t kLongest = 1024;
  const size_t version = name.find('@', 1);
  name = name.substr(0, version);
  const bool good = name.size() <= kLongest && std::all_of(name.begin(), name.end(), [](char c) {
                      return static_cast<unsigned char>(c) > ' ' && c != 0x7f;
                    });
  return good ? std::string(name) : std::string();
}

}  // namespace

std::vector<std::string> stub_names(const ElfImage& image, const std::vector<Vaddr>& sites) {
  const SymbolNames symbols(image);
  std::vector<std::string> names;
  std::map<std::string, size_t> seen;
  for (const Vaddr site : sites) {
    names.push_back(printable(symbols.function_of(site)));
  }
  for (size_t i = 0; i < sites.size(); ++i) {
    std::string& name = names[i];
    if (name.empty()) {
      name = fmt::format("syscall_{:x}", sites[i].value);
      continue;
    }
    const size_t number = ++seen[name];
    name += fmt::format(".syscall_{}", number);
  }
  return names;
}

}  // namespace sysrewrite
