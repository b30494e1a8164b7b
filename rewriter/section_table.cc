#include "rewriter/section_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace sysrewrite {

namespace {

constexpr uint64_t kAlignment = 8;

Error damaged(SymbolTables symbols, uint64_t where, const std::string& what) {
  const char* option = symbols == SymbolTables::kGrown ? "--symbols" : "--embed=segment";
  return {ErrorCode::kOptions, where,
          fmt::format("{} cannot add to the section headers: {}", option, what)};
}

void append(std::vector<std::byte>& out, ByteView bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void append_name(std::vector<std::byte>& out, const std::string& name) {
  append(out, as_byte_view(name.c_str(), name.size() + 1));
}

struct DynamicSymbols {
  size_t section = 0;
  ByteView entries, names;
};

std::optional<DynamicSymbols> find_dynamic(ByteView file, const std::vector<elf::Shdr>& headers) {
  for (size_t i = 0; i < headers.size(); ++i) {
    if (headers[i].type != elf::kShtDynsym || headers[i].link >= headers.size()) continue;
    const elf::Shdr& strings = headers[headers[i].link];
    const auto entries = slice(file, headers[i].offset, headers[i].size);
    const auto names = slice(file, strings.offset, strings.size);
    if (entries && names) return DynamicSymbols{i, *entries, *names};
  }
  return std::nullopt;
}

// Calls visit(symbol, its name) for the defined ones of all but local binding. Stops where it
// returns false.
template <typename Visit>
void for_each_dynamic(const DynamicSymbols& symbols, Visit visit) {
  constexpr size_t kLongest = 4096;  // a hostile table could make each of many names huge
  for (uint64_t at = 0; range_fits(at, sizeof(elf::Sym), symbols.entries.size());
       at += sizeof(elf::Sym)) {
    const auto symbol = *load<elf::Sym>(symbols.entries, at);
    if (symbol.shndx == elf::kShnUndef || symbol.info >> 4 == elf::kStbLocal) continue;
    ByteView name = symbols.names.subspan(std::min<size_t>(symbol.name, symbols.names.size()));
    name = name.first(std::min(name.size(), kLongest));
    name = name.first(
        static_cast<size_t>(std::find(name.begin(), name.end(), std::byte{0}) - name.begin()));
    if (!visit(symbol, name)) return;
  }
}

}  // namespace

// Each check relies on those before it.
class SectionTableReader {
 public:
  SectionTableReader(const ElfImage& image, SymbolTables symbols) : image_(image) {
    table_.image_ = &image;
    table_.growing_ = symbols;
  }

  Result<SectionTable> read() {
    const elf::Ehdr& header = image_.header();
    if (image_.counts_sections_elsewhere())
      return damaged(offsetof(elf::Ehdr, shnum), "there are more of them than e_shnum can say");
    if (header.shoff == 0 || (header.shnum == 0 && header.shstrndx == 0)) {
      table_.headers_.push_back({});
      return std::move(table_);
    }
    if (image_.sections().empty())
      return damaged(
          offsetof(elf::Ehdr, shoff),
          fmt::format("{} entries of {} bytes at offset {:#x} make no table in a file of "
                      "{} bytes",
                      header.shnum, header.shentsize, header.shoff, image_.bytes().size()));
    table_.headers_ = image_.sections();
    if (table_.headers_[0].type != elf::kShtNull)
      return damaged(header.shoff, "the first of them is not the null entry");
    table_.names_ = header.shstrndx;
    if (auto error = check_strings(header.shstrndx, "e_shstrndx")) return *error;
    if (table_.growing_ == SymbolTables::kGrown)
      if (auto error = find_symbols()) return *error;
    return std::move(table_);
  }

 private:
  Error damaged(uint64_t where, const std::string& what) const {
    return sysrewrite::damaged(table_.growing_, where, what);
  }
  uint64_t where(uint64_t index) const { return image_.header().shoff + index * sizeof(elf::Shdr); }

  // Bytes that can be copied and read from the copy: nothing in memory refers to their place.
  std::optional<Error> check_copyable(size_t index) const {
    const elf::Shdr& section = table_.headers_[index];
    if ((section.flags & (elf::kShfAlloc | elf::kShfCompressed)) != 0)
      return damaged(where(index), fmt::format("section {} is part of the program's memory, or "
                                               "compressed",
                                               index));
    if (!range_fits(section.offset, section.size, image_.bytes().size()))
      return damaged(where(index),
                     fmt::format("section {} ({:#x} bytes at offset {:#x}) leaves the "
                                 "file of {} bytes",
                                 index, section.size, section.offset, image_.bytes().size()));
    return std::nullopt;
  }

  std::optional<Error> check_strings(size_t index, const char* what) const {
    if (index == 0 || index >= table_.headers_.size() ||
        table_.headers_[index].type != elf::kShtStrtab)
      return damaged(offsetof(elf::Ehdr, shstrndx),
                     fmt::format("{} names section {}, which is no string table", what, index));
    if (auto error = check_copyable(index)) return error;
    const elf::Shdr& section = table_.headers_[index];
    const ByteView bytes = image_.bytes().subspan(section.offset, section.size);
    if (bytes.empty() || bytes.back() != std::byte{0})
      return damaged(where(index), fmt::format("the string table {} does not end in NUL", index));
    return std::nullopt;
  }

  std::optional<Error> find_symbols() {
    for (size_t i = 1; i < table_.headers_.size(); ++i) {
      if (table_.headers_[i].type != elf::kShtSymtab) continue;
      if (table_.symtab_)
        return damaged(where(i),
                       fmt::format("there are two symbol tables, {} and {}", *table_.symtab_, i));
      table_.symtab_ = i;
    }
    if (!table_.symtab_) return check_dynamic_names();
    const elf::Shdr& symtab = table_.headers_[*table_.symtab_];
    if (auto error = check_copyable(*table_.symtab_)) return error;
    const uint64_t count = symtab.size / sizeof(elf::Sym);
    if (symtab.entsize != sizeof(elf::Sym) || count == 0 || symtab.size % sizeof(elf::Sym) != 0 ||
        symtab.info > count)
      return damaged(where(*table_.symtab_),
                     fmt::format("the symbol table has {:#x} bytes, {} an entry, {} of them local",
                                 symtab.size, symtab.entsize, symtab.info));
    table_.strings_ = symtab.link;
    if (auto error = check_strings(symtab.link, "the symbol table")) return error;
    return find_extended_indices(count);
  }

  // Each symbol gets a copy of its name. Few share one, or an end of one, in what linkers write:
  // the copies are at most twice as large as their table.
  std::optional<Error> check_dynamic_names() const {
    constexpr uint64_t kMostTimes = 4, kSmall = 4096;
    const auto symbols = find_dynamic(image_.bytes(), table_.headers_);
    if (!symbols) return std::nullopt;
    const uint64_t most = kMostTimes * symbols->names.size() + kSmall;
    uint64_t size = 0;
    for_each_dynamic(*symbols, [&](const elf::Sym&, ByteView name) {
      size += name.size() + 1;
      return size <= most;
    });
    if (size <= most) return std::nullopt;
    return damaged(where(symbols->section),
                   fmt::format("the dynamic symbols' names, each written out, are more than {} "
                               "times as large as their table of {:#x} bytes",
                               kMostTimes, symbols->names.size()));
  }

  // Source: gABI, SHT_SYMTAB_SHNDX: 32 bits for each symbol.
  std::optional<Error> find_extended_indices(uint64_t symbols) {
    for (size_t i = 1; i < table_.headers_.size(); ++i) {
      const elf::Shdr& section = table_.headers_[i];
      if (section.type != elf::kShtSymtabShndx || section.link != *table_.symtab_) continue;
      if (auto error = check_copyable(i)) return error;
      if (table_.shndx_ || section.size != symbols * sizeof(uint32_t))
        return damaged(where(i), fmt::format("the extended section indices {} are not one for each "
                                             "symbol",
                                             i));
      table_.shndx_ = i;
    }
    return std::nullopt;
  }

  const ElfImage& image_;
  SectionTable table_;
};

// Lays out the part and writes it. Sizes alone where `write` is false.
class SectionTableBuilder {
 public:
  SectionTableBuilder(const SectionTable& table, FileOffset at) : table_(table), at_(at.value) {}

  SectionTableBytes build() {
    headers_ = table_.headers_;
    for (const SectionTable::Move& move : table_.moved_) {
      elf::Shdr& header = headers_.at(move.section);
      header.offset = move.offset.value;
      header.addr = move.address.value;
      header.size = move.size;
    }
    out_.bytes.reserve(size_t{1} << 16);
    make_headers();
    if (grows()) write_symbols();
    write_strings();
    write_added();
    out_.table = {at_ + out_.bytes.size()};
    append(out_.bytes, as_byte_view(headers_.data(), headers_.size() * sizeof(elf::Shdr)));
    out_.count = static_cast<uint16_t>(headers_.size());
    out_.names = static_cast<uint16_t>(names_);
    return std::move(out_);
  }

 private:
  ByteView old(std::optional<size_t> index) const {
    if (!index) return {};
    const elf::Shdr& section = table_.headers_[*index];
    return table_.image_->bytes().subspan(section.offset, section.size);
  }

  // An entry for each section, still without the place of its bytes.
  void make_headers() {
    names_bytes_.assign(old(table_.names_).begin(), old(table_.names_).end());
    shared_names_ = grows() && table_.names_ && table_.names_ == table_.strings_;
    if (names_bytes_.empty()) names_bytes_.push_back(std::byte{0});
    for (const auto& [section, name] : table_.renamed_) {
      headers_[section].name = static_cast<uint32_t>(names_bytes_.size());
      named_.push_back(section);
      append_name(names_bytes_, name);
    }
    for (const AddedSection& added : table_.added_) {
      indices_.push_back(added.instead_of.value_or(headers_.size()));
      if (added.instead_of) continue;
      elf::Shdr header{};
      header.type = added.type;
      header.flags = added.flags;
      header.addralign = added.alignment;
      new_entry(added.name, header);
    }
    if (grows()) make_symbol_headers();
    names_ = table_.names_.value_or(headers_.size());
    if (!table_.names_) new_entry(".shstrtab", string_table());
  }

  bool grows() const { return table_.growing_ == SymbolTables::kGrown; }

  void make_symbol_headers() {
    symtab_ = table_.symtab_.value_or(headers_.size());
    if (!table_.symtab_) {
      elf::Shdr header{};
      header.type = elf::kShtSymtab;
      header.addralign = kAlignment;
      header.entsize = sizeof(elf::Sym);
      header.link = static_cast<uint32_t>(headers_.size() + 1);
      header.info = 1;
      new_entry(".symtab", header);
    }
    strings_ = table_.strings_.value_or(headers_.size());
    if (!table_.strings_) new_entry(".strtab", string_table());
  }

  static elf::Shdr string_table() {
    elf::Shdr header{};
    header.type = elf::kShtStrtab;
    header.addralign = 1;
    return header;
  }

  // Names are counted from the end of the old ones; where those stand among the symbols' strings,
  // the added symbols' names come in between, and name_base() is added at the end.
  void new_entry(const std::string& name, elf::Shdr header) {
    header.name = static_cast<uint32_t>(names_bytes_.size());
    append_name(names_bytes_, name);
    named_.push_back(headers_.size());
    headers_.push_back(header);
  }

  void write_part(size_t index, ByteView bytes) {
    headers_[index].offset = at_ + out_.bytes.size();
    headers_[index].size = bytes.size();
    append(out_.bytes, bytes);
    out_.bytes.resize(align_up(out_.bytes.size(), kAlignment));
  }

  void write_symbols() {
    strings_bytes_.assign(old(table_.strings_).begin(), old(table_.strings_).end());
    if (strings_bytes_.empty()) strings_bytes_.push_back(std::byte{0});
    std::vector<std::byte> symbols(old(table_.symtab_).begin(), old(table_.symtab_).end());
    if (!table_.symtab_) {
      symbols.resize(sizeof(elf::Sym));
      copy_dynamic(symbols);
    }
    for (const AddedSymbol& added : table_.symbols_) {
      elf::Sym symbol{};
      symbol.info = elf::kStbGlobal << 4 | elf::kSttFunc;
      symbol.other = elf::kStvHidden;
      symbol.shndx = static_cast<uint16_t>(indices_.at(added.section));
      symbol.value = table_.added_[added.section].address.value + added.offset;
      symbol.size = added.size;
      add_symbol(symbols, symbol, added.name);
    }
    write_part(symtab_, symbols);
    if (!table_.shndx_) return;
    std::vector<std::byte> extended(old(table_.shndx_).begin(), old(table_.shndx_).end());
    extended.resize(symbols.size() / sizeof(elf::Sym) * sizeof(uint32_t));
    write_part(*table_.shndx_, extended);
  }

  void add_symbol(std::vector<std::byte>& symbols, elf::Sym symbol, const std::string& name) {
    symbol.name = static_cast<uint32_t>(strings_bytes_.size());
    append_name(strings_bytes_, name);
    append(symbols, as_byte_view(&symbol, sizeof(symbol)));
  }

  // As they stand, by their names without a version.
  void copy_dynamic(std::vector<std::byte>& symbols) {
    const auto dynamic = find_dynamic(table_.image_->bytes(), table_.headers_);
    if (!dynamic) return;
    for_each_dynamic(*dynamic, [&](const elf::Sym& symbol, ByteView name) {
      add_symbol(symbols, symbol, text_of(name));
      return true;
    });
  }

  static std::string text_of(ByteView bytes) {
    std::string text;
    for (const std::byte c : bytes) text.push_back(static_cast<char>(c));
    return text;
  }

  void write_strings() {
    if (!shared_names_) {
      if (grows()) write_part(strings_, strings_bytes_);
      write_part(names_, names_bytes_);
      return;
    }
    // One table for both: the sections' names go behind the symbols'.
    const size_t before = old(table_.names_).size();
    const size_t moved = strings_bytes_.size() - before;
    append(strings_bytes_, ByteView(names_bytes_).subspan(before));
    for (const size_t section : named_) headers_[section].name += static_cast<uint32_t>(moved);
    write_part(strings_, strings_bytes_);
  }

  void write_added() {
    for (size_t i = 0; i < table_.added_.size(); ++i) {
      const AddedSection& added = table_.added_[i];
      elf::Shdr& header = headers_[indices_[i]];
      if (!added.offset) {
        write_part(indices_[i], added.bytes);
        if (added.instead_of) continue;
      } else {
        header.offset = added.offset->value;
        header.size = added.size;
      }
      header.addr = added.address.value;
    }
  }

  const SectionTable& table_;
  const uint64_t at_;
  SectionTableBytes out_;
  std::vector<elf::Shdr> headers_;
  std::vector<size_t> indices_;  // of the added sections
  std::vector<size_t> named_;    // those with a name that the input has not
  std::vector<std::byte> names_bytes_, strings_bytes_;
  size_t symtab_ = 0, strings_ = 0, names_ = 0;
  bool shared_names_ = false;
};

Result<SectionTable> SectionTable::read(const ElfImage& image, SymbolTables symbols) {
  return SectionTableReader(image, symbols).read();
}

std::optional<size_t> SectionTable::find(const std::string& name) const {
  for (size_t i = 1; i < headers_.size(); ++i)
    if (image_->section_name(headers_[i]) == name) return i;
  return std::nullopt;
}

size_t SectionTable::add(AddedSection section) {
  added_.push_back(std::move(section));
  return added_.size() - 1;
}

void SectionTable::place(size_t section, FileOffset offset, Vaddr address) {
  added_.at(section).offset = offset;
  added_.at(section).address = address;
}

void SectionTable::move(size_t section, FileOffset offset, Vaddr address, uint64_t size) {
  moved_.push_back({section, offset, address, size});
}

void SectionTable::rename(size_t section, const std::string& name) {
  renamed_.emplace_back(section, name);
}

Result<uint64_t> SectionTable::measure() const {
  constexpr size_t kOwn = 3;  // .symtab, .strtab, .shstrtab
  const uint64_t count = headers_.size() + added_.size() + kOwn;
  if (count >= elf::kShnLoReserve)
    return damaged(growing_, offsetof(elf::Ehdr, shnum),
                   fmt::format("there would be {} of them", count));
  const uint64_t size = build({0}).bytes.size();
  if (size > UINT32_MAX)
    return damaged(growing_, offsetof(elf::Ehdr, shoff), "its tables would outgrow 4 GiB");
  return size;
}

SectionTableBytes SectionTable::build(FileOffset at) const {
  return SectionTableBuilder(*this, at).build();
}

}  // namespace sysrewrite
