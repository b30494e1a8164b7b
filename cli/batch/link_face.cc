#include "cli/batch/link_face.h"

#include <string_view>
#include <tuple>
#include <vector>

#include "trampoline/elf_types.h"

namespace sysrewrite {

namespace {

using Bytes = std::vector<std::byte>;

constexpr uint64_t kAlignment = 8;

using Headers = std::vector<elf::Shdr>;

// The index of the first section of that type; nothing where there is none.
std::optional<uint32_t> find(const Headers& headers, uint32_t type) {
  for (uint32_t i = 0; i < headers.size(); ++i)
    if (headers[i].type == type) return i;
  return std::nullopt;
}

// The sections of a file, and their names.
struct Sections {
  Headers headers;
  ByteView names;

  const elf::Shdr* of_type(uint32_t type) const {
    const auto index = find(headers, type);
    return index ? &headers[*index] : nullptr;
  }
};

std::optional<Sections> read_sections(ByteView file) {
  const auto header = load<elf::Ehdr>(file, 0);
  if (!header || header->shentsize != sizeof(elf::Shdr) || header->shstrndx >= header->shnum)
    return std::nullopt;
  Sections sections;
  for (uint64_t i = 0; i < header->shnum; ++i) {
    const auto at = checked_add(header->shoff, i * sizeof(elf::Shdr));
    const auto section = at ? load<elf::Shdr>(file, *at) : std::nullopt;
    if (!section) return std::nullopt;
    sections.headers.push_back(*section);
  }
  const elf::Shdr& names = sections.headers[header->shstrndx];
  const auto bytes = slice(file, names.offset, names.size);
  if (!bytes) return std::nullopt;
  sections.names = *bytes;
  return sections;
}

class Face {
 public:
  Face(ByteView loader, Sections sections)
      : header_(*load<elf::Ehdr>(loader, 0)),
        begin_(align_up(loader.size(), kAlignment)),
        headers_(std::move(sections.headers)),
        names_(sections.names.begin(), sections.names.end()) {}

  // In the place of the loader's own of that type, or behind its last one.
  uint32_t index_for(uint32_t type, std::string_view name) {
    const auto own = find(headers_, type);
    return own ? *own : add(name);
  }

  // A section of that name, without a type yet.
  uint32_t add(std::string_view name) {
    elf::Shdr header{};
    header.name = static_cast<uint32_t>(names_.size());
    for (const char c : name) names_.push_back(std::byte(c));
    names_.push_back(std::byte{0});
    headers_.push_back(header);
    return static_cast<uint32_t>(headers_.size() - 1);
  }

  // Of the kind that `like` is, but nowhere in memory.
  void fill(uint32_t index, const elf::Shdr& like, ByteView bytes, uint32_t link) {
    const uint32_t name = headers_[index].name;
    headers_[index] = like;
    elf::Shdr& header = headers_[index];
    header.name = name;
    header.flags = header.addr = 0;
    header.link = link;
    header.offset = append(bytes);
    header.size = bytes.size();
  }

  void fill_with_nothing(uint32_t index) {
    headers_[index].type = elf::kShtNobits;
    headers_[index].addralign = 1;
  }

  OutputBytes finish() {
    elf::Shdr& names = headers_[header_.shstrndx];
    names.offset = append(names_);
    names.size = names_.size();
    header_.shoff = append(as_byte_view(headers_.data(), headers_.size() * sizeof(elf::Shdr)));
    header_.shnum = static_cast<uint16_t>(headers_.size());
    const ByteView header = as_byte_view(&header_, sizeof(header_));
    return {{{{0}, {header.begin(), header.end()}}}, {begin_}, std::move(tail_)};
  }

 private:
  uint64_t append(ByteView bytes) {
    tail_.resize(align_up(tail_.size(), kAlignment));
    const uint64_t offset = begin_ + tail_.size();
    tail_.insert(tail_.end(), bytes.begin(), bytes.end());
    return offset;
  }

  elf::Ehdr header_;
  uint64_t begin_;  // of what is added, in the file
  Bytes tail_;
  Headers headers_;
  Bytes names_;
};

// What is defined is so in section `holder`; what is not, and absolute values, stay.
Bytes symbols_in(ByteView symbols, uint16_t holder) {
  Bytes moved(symbols.begin(), symbols.end());
  for (uint64_t at = 0; range_fits(at, sizeof(elf::Sym), moved.size()); at += sizeof(elf::Sym)) {
    auto symbol = *load<elf::Sym>(moved, at);
    if (symbol.shndx == elf::kShnUndef || symbol.shndx >= elf::kShnLoReserve) continue;
    symbol.shndx = holder;
    store(MutableByteView(moved), at, symbol);
  }
  return moved;
}

// Of the dynamic section what linkers go by; the rest names addresses.
Bytes name_alone(ByteView dynamic) {
  Bytes kept;
  const auto keep = [&kept](const elf::Dyn& entry) {
    const ByteView bytes = as_byte_view(&entry, sizeof(entry));
    kept.insert(kept.end(), bytes.begin(), bytes.end());
  };
  for (uint64_t at = 0; const auto entry = load<elf::Dyn>(dynamic, at); at += sizeof(elf::Dyn)) {
    if (entry->tag == elf::kDtNull) break;
    if (entry->tag == elf::kDtSoname) keep(*entry);
  }
  keep({elf::kDtNull, 0});
  return kept;
}

}  // namespace

std::optional<OutputBytes> with_symbols_for_linkers(ByteView loader, ByteView interpreter) {
  auto own = read_sections(loader);
  const auto other = read_sections(interpreter);
  if (!own || !other || own->headers.size() > elf::kShnLoReserve / 2) return std::nullopt;
  const elf::Shdr* symbols = other->of_type(elf::kShtDynsym);
  const elf::Shdr* dynamic = other->of_type(elf::kShtDynamic);
  if (symbols == nullptr || dynamic == nullptr || symbols->link >= other->headers.size())
    return std::nullopt;
  const elf::Shdr& strings = other->headers[symbols->link];
  const auto bytes_of = [&](const elf::Shdr& header) {
    return slice(interpreter, header.offset, header.size);
  };
  const auto symbol_bytes = bytes_of(*symbols), string_bytes = bytes_of(strings);
  const auto dynamic_bytes = bytes_of(*dynamic);
  if (!symbol_bytes || !string_bytes || !dynamic_bytes) return std::nullopt;

  Face face(loader, std::move(*own));
  const uint32_t symbols_at = face.index_for(elf::kShtDynsym, ".dynsym");
  const uint32_t strings_at = face.add(".dynstr.ld.so");
  const uint32_t holder = face.add(".ld.so");
  face.fill_with_nothing(holder);
  face.fill(strings_at, strings, *string_bytes, 0);
  face.fill(symbols_at, *symbols, symbols_in(*symbol_bytes, static_cast<uint16_t>(holder)),
            strings_at);
  face.fill(face.index_for(elf::kShtDynamic, ".dynamic"), *dynamic, name_alone(*dynamic_bytes),
            strings_at);
  for (const auto& [type, name, link] :
       {std::tuple(elf::kShtGnuVersym, ".gnu.version", symbols_at),
        std::tuple(elf::kShtGnuVerdef, ".gnu.version_d", strings_at)}) {
    const elf::Shdr* versions = other->of_type(type);
    const auto bytes = versions == nullptr ? std::nullopt : bytes_of(*versions);
    if (bytes) face.fill(face.index_for(type, name), *versions, *bytes, link);
  }
  return face.finish();
}

}  // namespace sysrewrite
