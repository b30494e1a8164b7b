#include "rewriter/symbols.h"

#include <algorithm>

#include "rewriter/hash_tables.h"

namespace sysrewrite {

namespace detail {

namespace {

// Only a hash table tells how many symbols the dynamic table has.
std::optional<uint64_t> count_dynamic_symbols(const ElfImage& image) {
  std::optional<uint64_t> count;
  for (const int64_t tag : {elf::kDtHash, elf::kDtGnuHash})
    if (const auto table = read_hash_table(image, tag))
      count = std::max(count.value_or(0), table->symbols);
  return count;
}

std::optional<SymbolTable> dynamic_table(const ElfImage& image) {
  const auto symbols = image.dynamic(elf::kDtSymtab);
  const auto names = image.dynamic(elf::kDtStrtab);
  const auto names_size = image.dynamic(elf::kDtStrsz);
  const auto count = count_dynamic_symbols(image);
  if (!symbols || !names || !names_size || !count) return std::nullopt;
  const auto symbol_bytes = image.bytes_from({*symbols});
  const auto name_bytes = image.bytes_from({*names});
  const auto size = checked_multiply(*count, sizeof(elf::Sym));
  if (!symbol_bytes || !name_bytes || !size) return std::nullopt;
  const auto table = slice(*symbol_bytes, 0, *size);
  const auto strings = slice(*name_bytes, 0, *names_size);
  if (!table || !strings) return std::nullopt;
  return SymbolTable{*table, *strings};
}

bool holds(ByteView table, ByteView part) {
  return table.data() <= part.data() && part.data() + part.size() <= table.data() + table.size();
}

}  // namespace

std::vector<SymbolTable> find_symbol_tables(const ElfImage& image) {
  std::vector<SymbolTable> tables;
  for (const elf::Shdr& section : image.sections()) {
    if (section.type != elf::kShtSymtab && section.type != elf::kShtDynsym) continue;
    const auto symbols = slice(image.bytes(), section.offset, section.size);
    if (!symbols || section.link >= image.sections().size()) continue;
    const elf::Shdr& strings = image.sections()[section.link];
    const auto names = slice(image.bytes(), strings.offset, strings.size);
    tables.push_back({*symbols, names.value_or(ByteView{})});
  }
  // Section headers may be missing, or leave out what ld.so finds.
  const auto dynamic = dynamic_table(image);
  if (dynamic && std::none_of(tables.begin(), tables.end(), [&](const SymbolTable& table) {
        return holds(table.symbols, dynamic->symbols);
      }))
    tables.push_back(*dynamic);
  return tables;
}

}  // namespace detail

bool names_code(const ElfImage& image, const Symbol& symbol) {
  const bool kind = symbol.type == elf::kSttFunc || symbol.type == elf::kSttGnuIfunc ||
                    symbol.type == elf::kSttNotype;
  return kind && image.executable_segment_of(symbol.address) != nullptr;
}

std::string_view Symbol::name() const {
  const std::string_view rest = names_from_here();
  const size_t end = rest.substr(0, kLongestName).find('\0');
  if (end != std::string_view::npos) return rest.substr(0, end);
  return rest.size() > kLongestName ? rest.substr(0, kLongestName) : std::string_view();
}

bool Symbol::is_named(std::string_view name) const {
  const std::string_view rest = names_from_here();
  return rest.size() > name.size() && rest[name.size()] == '\0' && rest.starts_with(name);
}

std::string_view Symbol::names_from_here() const {
  if (name_offset >= names.size()) return {};
  const ByteView rest = names.subspan(name_offset);
  return {static_cast<const char*>(static_cast<const void*>(rest.data())), rest.size()};
}

}  // namespace sysrewrite
