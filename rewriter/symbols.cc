#include "rewriter/symbols.h"

#include <algorithm>

#include "rewriter/hash_tables.h"

namespace sysrewrite {

namespace detail {

namespace {

// Only a hash table tells how many symbols the dynamic table has.
uint64_t count_dynamic_symbols(const ElfImage& image) {
  uint64_t count = 0;
  for (const int64_t tag : {elf::kDtHash, elf::kDtGnuHash})
    if (const auto table = read_hash_table(image, tag)) count = std::max(count, table->symbols);
  return count;
}

// As much of it as the file holds: each symbol may speak against a patch. So nameless ones are
// taken, too.
std::optional<SymbolTable> dynamic_table(const ElfImage& image) {
  const auto symbols = image.dynamic(elf::kDtSymtab);
  const auto bytes = symbols ? image.bytes_from({*symbols}) : std::nullopt;
  if (!bytes) return std::nullopt;
  const uint64_t size =
      std::min<uint64_t>(bytes->size(), count_dynamic_symbols(image) * sizeof(elf::Sym));
  if (size == 0) return std::nullopt;
  const auto names = image.dynamic(elf::kDtStrtab), names_size = image.dynamic(elf::kDtStrsz);
  const auto strings = names ? image.bytes_from({*names}) : std::nullopt;
  const uint64_t strings_size = strings ? std::min(strings->size(), names_size.value_or(0)) : 0;
  return SymbolTable{bytes->first(size), strings ? strings->first(strings_size) : ByteView{}};
}

}  // namespace

std::vector<SymbolTable> find_symbol_tables(const ElfImage& image) {
  std::vector<SymbolTable> tables;
  // Section headers may be missing, or leave out what ld.so finds.
  const auto dynamic = dynamic_table(image);
  bool has_dynamic = false;
  for (const elf::Shdr& section : image.sections()) {
    if (section.type != elf::kShtSymtab && section.type != elf::kShtDynsym) continue;
    const auto symbols = slice(image.bytes(), section.offset, section.size);
    if (!symbols) continue;
    std::optional<ByteView> names;
    if (section.link < image.sections().size()) {
      const elf::Shdr& strings = image.sections()[section.link];
      names = slice(image.bytes(), strings.offset, strings.size);
    }
    tables.push_back({*symbols, names.value_or(ByteView{})});
    has_dynamic |= section.type == elf::kShtDynsym && dynamic &&
                   symbols->data() == dynamic->symbols.data() &&
                   symbols->size() >= dynamic->symbols.size();
  }
  if (dynamic && !has_dynamic) tables.push_back(*dynamic);
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
