#include "rewriter/verify_image.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "rewriter/verify_hash_tables.h"
#include "rewriter/verify_overlap.h"

namespace sysrewrite {

namespace {

using Place = OriginalImage::Place;

// In memory and in the file.
bool adjoins(const elf::Phdr& last, const elf::Phdr& next) {
  return last.filesz == last.memsz && last.vaddr + last.filesz == next.vaddr &&
         last.offset + last.filesz == next.offset;
}

std::vector<Place> sorted(std::vector<Place> places) {
  std::sort(places.begin(), places.end(),
            [](const Place& a, const Place& b) { return a.offset < b.offset; });
  return places;
}

// Windows and springboards.
std::vector<Place> places_of_code(const RewrittenFile& file, Findings& findings) {
  std::vector<Place> places;
  const auto code = [&](Vaddr address, ByteView original, const char* what) {
    const auto offset = file.offset_of(address, original.size());
    if (offset) return places.push_back({offset->value, original});
    findings.at_address(address, what, "an address that no segment maps from the file",
                        "code of the input");
  };
  for (uint32_t i = 0; i < file.site_count(); ++i) {
    const SiteRecord site = file.site(i);
    if (site.tier == Tier::kNative) continue;
    code(file.window_vaddr(site), file.original_window(site), "a window");
    if (site.springboard != kNoSpringboard)
      code({file.meta().base_vaddr + site.springboard}, file.original_springboard(site),
           "a springboard");
  }
  return places;
}

std::vector<Place> places_of(const RewrittenFile& file, Findings& findings) {
  std::vector<Place> places = places_of_code(file, findings);
  for (uint32_t i = 0; i < file.edit_count(); ++i) {
    const EditRecord edit = file.edit(i);
    places.push_back({edit.offset, file.original_edit(edit)});
  }
  return places;
}

// How much a relocation writes, by its type: a word, half of one, or, as TLSDESC does, two. Those
// that no loader of x86-64 knows are given the most.
uint64_t bytes_written(uint64_t info) {
  const auto type = static_cast<uint32_t>(info);
  const auto is_one_of = [type](std::initializer_list<uint32_t> types) {
    return std::find(types.begin(), types.end(), type) != types.end();
  };
  if (is_one_of({elf::kRPc32, elf::kR32, elf::kR32S})) return 4;
  if (is_one_of({elf::kR64, elf::kRGlobDat, elf::kRJumpSlot, elf::kRRelative, elf::kRDtpmod64,
                 elf::kRDtpoff64, elf::kRTpoff64, elf::kRPc64, elf::kRIrelative,
                 elf::kRRelative64}))
    return 8;
  return 16;
}

// The trampoline's segments, and nothing else lies behind all others.
void take_out_own_segments(std::vector<std::byte>& bytes, const RewrittenFile& file,
                           Findings& findings) {
  const auto header = *load<elf::Ehdr>(bytes, 0);
  const elf::Phdr& own = file.own_segment();
  for (uint64_t i = 0; i < header.phnum; ++i) {
    const uint64_t at = header.phoff + i * sizeof(elf::Phdr);
    const auto segment = *load<elf::Phdr>(bytes, at);
    if (segment.type != elf::kPtLoad || segment.vaddr < own.vaddr) continue;
    const bool is_own = std::memcmp(&segment, &own, sizeof(own)) == 0;
    const uint64_t slot = file.first_stub().value;
    const bool is_code = file.has_sites() && segment.vaddr == file.trailer().vaddr + slot &&
                         segment.filesz == file.trailer().size - slot &&
                         segment.memsz == segment.filesz;
    if (is_own || is_code)
      store(MutableByteView(bytes), at, elf::Phdr{});
    else
      findings.at_offset(
          at, "a program header",
          fmt::format("a segment at {:#x}, where only the trampoline's are", segment.vaddr),
          "none but those of the input and of the trampoline");
  }
}

}  // namespace

std::optional<OriginalImage> OriginalImage::restore(ByteView output, const RewrittenFile& file,
                                                    Findings& findings) {
  const auto kept = slice(output, 0, file.meta().input_size);
  if (!kept) {
    findings.at_offset(file.meta_offset().value + offsetof(MetaHeader, input_size),
                       "the input's size", fmt::format("{:#x}", file.meta().input_size),
                       fmt::format("at most the file's, {:#x}", output.size()));
    return std::nullopt;
  }
  const size_t before = findings.count();
  const std::vector<Place> places = sorted(places_of(file, findings));
  OriginalImage image;
  if (!image.put_back(*kept, places, findings) || findings.count() != before ||
      !image.read_headers(findings))
    return std::nullopt;
  return image;
}

std::optional<OriginalImage> OriginalImage::restore_code(ByteView output, const RewrittenFile& file,
                                                         Findings& findings) {
  const size_t before = findings.count();
  const std::vector<Place> places = sorted(places_of_code(file, findings));
  OriginalImage image;
  if (!image.put_back(output, places, findings) || findings.count() != before) return std::nullopt;
  if (!load<elf::Ehdr>(image.bytes_, 0)) return std::nullopt;
  take_out_own_segments(image.bytes_, file, findings);
  if (findings.count() != before || !image.read_headers(findings)) return std::nullopt;
  return image;
}

bool OriginalImage::put_back(ByteView kept, const std::vector<Place>& places, Findings& findings) {
  const size_t before = findings.count();
  bytes_.assign(kept.begin(), kept.end());
  uint64_t free_from = 0;
  for (const Place& place : places) {
    if (!range_fits(place.offset, place.original.size(), bytes_.size())) {
      findings.at_offset(place.offset, "a record of the site table", "bytes behind the input's end",
                         "bytes of the input");
      continue;
    }
    if (place.offset < free_from)
      findings.at_offset(place.offset, "two records of the site table", "that they overlap",
                         "that no byte is recorded twice");
    free_from = place.offset + place.original.size();
    std::copy(place.original.begin(), place.original.end(),
              bytes_.begin() + static_cast<std::ptrdiff_t>(place.offset));
  }
  return findings.count() == before;
}

bool OriginalImage::read_headers(Findings& findings) {
  const auto header = load<elf::Ehdr>(bytes_, 0);
  const auto table = header
                         ? slice(bytes_, header->phoff, uint64_t{header->phnum} * sizeof(elf::Phdr))
                         : std::nullopt;
  if (!table || header->phentsize != sizeof(elf::Phdr)) {
    findings.at_offset(0, "the restored input", "no program headers that can be read",
                       "an ELF file");
    return false;
  }
  header_ = *header;
  int dynamics = 0;
  for (uint64_t at = 0; at < table->size(); at += sizeof(elf::Phdr)) {
    const auto phdr = *load<elf::Phdr>(*table, at);
    phdrs_.push_back(phdr);
    if (phdr.type == elf::kPtDynamic && ++dynamics > 1) {
      findings.at_offset(header_.phoff + at, "a program header of the restored input",
                         "a second PT_DYNAMIC", "one");
      return false;
    }
    if (phdr.type != elf::kPtLoad || (phdr.memsz == 0 && phdr.filesz == 0)) continue;
    if (!add_load(phdr, header_.phoff + at, findings)) return false;
  }
  read_dynamic();
  return check_symbol_tables(findings);
}

// Source: gABI "ELF Header": where e_shnum is 0, or e_shstrndx SHN_XINDEX, the null entry says it.
std::vector<elf::Shdr> OriginalImage::sections() const {
  std::vector<elf::Shdr> sections;
  if (header_.shoff == 0 || header_.shentsize != sizeof(elf::Shdr)) return sections;
  const auto null = load<elf::Shdr>(bytes_, header_.shoff);
  if (!null) return sections;
  const bool extended = header_.shnum == 0 && null->type == elf::kShtNull;
  const uint64_t count = extended ? null->size : header_.shnum;
  for (uint64_t i = 0; i < count; ++i) {
    const auto offset = checked_add(header_.shoff, i * sizeof(elf::Shdr));
    const auto section = offset ? load<elf::Shdr>(bytes_, *offset) : std::nullopt;
    if (!section) break;
    sections.push_back(*section);
  }
  return sections;
}

uint64_t OriginalImage::names_index() const {
  if (header_.shstrndx != elf::kShnXIndex) return header_.shstrndx;
  const auto null = load<elf::Shdr>(bytes_, header_.shoff);
  return null ? null->link : header_.shstrndx;
}

// Each is read from end to end, whatever it costs: each symbol may speak against a patch.
bool OriginalImage::check_symbol_tables(Findings& findings) const {
  std::vector<Extent> claims;
  const std::vector<elf::Shdr> all = sections();
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].type != elf::kShtSymtab && all[i].type != elf::kShtDynsym) continue;
    if (slice(bytes_, all[i].offset, all[i].size))
      claims.push_back({all[i].offset, all[i].offset + all[i].size, i});
  }
  const auto overlap = overlap_of(std::move(claims));
  if (overlap)
    findings.at_offset(header_.shoff + overlap->higher * sizeof(elf::Shdr), "a symbol table",
                       fmt::format("bytes of section {}, which is one too", overlap->lower),
                       "bytes of its own");
  return !overlap;
}

bool OriginalImage::add_load(const elf::Phdr& phdr, uint64_t where, Findings& findings) {
  const uint64_t free_from = loads_.empty() ? 0 : loads_.back().vaddr + loads_.back().memsz;
  const bool holds = range_fits(phdr.offset, phdr.filesz, bytes_.size()) &&
                     phdr.filesz <= phdr.memsz && checked_add(phdr.vaddr, phdr.memsz) &&
                     phdr.vaddr >= free_from;
  if (holds && !is_what_it_maps(phdr)) {
    findings.at_offset(where, "a program header of the restored input",
                       "another part of the file than the segment before has on the page that they "
                       "share, or than its code runs on in",
                       "code that is in memory as it is in the file");
    return false;
  }
  if (holds)
    add_or_join(phdr);
  else
    findings.at_offset(
        where, "a program header of the restored input",
        fmt::format("{:#x} bytes at {:#x} for address {:#x}", phdr.filesz, phdr.offset, phdr.vaddr),
        "a segment of the input, behind the one before");
  return holds;
}

// The kernel maps whole pages, each over what was there.
bool OriginalImage::is_what_it_maps(const elf::Phdr& phdr) const {
  if (loads_.empty()) return true;
  const elf::Phdr& last = loads_.back();
  const uint64_t end = last.vaddr + last.memsz;
  const bool code = ((phdr.flags | last.flags) & elf::kFlagExec) != 0;
  if (!code || phdr.filesz == 0 || last.filesz == 0) return true;
  const bool shares_page = align_down(phdr.vaddr, kPageSize) < end;
  if (shares_page && phdr.vaddr - phdr.offset != last.vaddr - last.offset) return false;
  const bool both = (phdr.flags & last.flags & elf::kFlagExec) != 0;
  return !both || phdr.vaddr != end || adjoins(last, phdr);
}

// Code that adjoins is one piece, to who runs there and to each scan.
void OriginalImage::add_or_join(const elf::Phdr& phdr) {
  const bool join = !loads_.empty() && adjoins(loads_.back(), phdr) &&
                    (loads_.back().flags & phdr.flags & elf::kFlagExec) != 0;
  if (!join) return loads_.push_back(phdr);
  loads_.back().filesz += phdr.filesz;
  loads_.back().memsz += phdr.memsz;
}

ByteView OriginalImage::words_of(const elf::Phdr& load) const {
  constexpr uint64_t kMore = sizeof(uint64_t) - 1;
  uint64_t more = 0;
  for (const elf::Phdr& next : loads_)
    if (adjoins(load, next)) more = std::min(kMore, next.filesz);
  return ByteView(bytes_).subspan(load.offset, load.filesz + more);
}

void OriginalImage::read_dynamic() {
  const elf::Phdr* dynamic = find_header(elf::kPtDynamic);
  if (dynamic == nullptr) return;
  const ByteView entries = bytes_from({dynamic->vaddr});
  for (uint64_t at = 0; range_fits(at, sizeof(elf::Dyn), entries.size()); at += sizeof(elf::Dyn)) {
    const auto entry = *load<elf::Dyn>(entries, at);
    if (entry.tag == elf::kDtNull) break;
    dynamic_.push_back(entry);
  }
}

const elf::Phdr* OriginalImage::find_header(uint32_t type) const {
  for (const elf::Phdr& phdr : phdrs_)
    if (phdr.type == type) return &phdr;
  return nullptr;
}

const elf::Phdr* OriginalImage::load_of(Vaddr address) const {
  const auto after =
      std::upper_bound(loads_.begin(), loads_.end(), address.value,
                       [](uint64_t a, const elf::Phdr& load) { return a < load.vaddr; });
  if (after == loads_.begin()) return nullptr;
  const elf::Phdr& load = *(after - 1);
  return address.value - load.vaddr < load.filesz ? &load : nullptr;
}

const elf::Phdr* OriginalImage::code_around(Vaddr address, uint64_t size) const {
  const elf::Phdr* load = load_of(address);
  const bool holds = load != nullptr && (load->flags & elf::kFlagExec) != 0 &&
                     range_fits(address.value - load->vaddr, size, load->filesz);
  return holds ? load : nullptr;
}

ByteView OriginalImage::bytes_from(Vaddr address) const {
  const elf::Phdr* load = load_of(address);
  return load == nullptr ? ByteView{} : bytes_of(*load).subspan(address.value - load->vaddr);
}

void OriginalImage::for_each_pair(const std::function<void(Vaddr)>& visit) const {
  for (const elf::Phdr& load : loads_) {
    if ((load.flags & elf::kFlagExec) == 0) continue;
    const ByteView code = bytes_of(load);
    for (size_t at = 0; at + 1 < code.size(); ++at) {
      const void* next = std::memchr(code.data() + at, 0x0f, code.size() - 1 - at);
      if (next == nullptr) break;
      at = static_cast<size_t>(static_cast<const std::byte*>(next) - code.data());
      if (code[at + 1] == std::byte{0x05}) visit({load.vaddr + at});
    }
  }
}

bool OriginalImage::is_interpreter() const {
  const bool pie = (dynamic(elf::kDtFlags1).value_or(0) & elf::kDf1Pie) != 0;
  return position_independent() && !pie && !dynamic_.empty() && !dynamic(elf::kDtNeeded) &&
         find_header(elf::kPtInterp) == nullptr && header_.entry != 0 &&
         code_around({header_.entry}, 1) != nullptr;
}

// libc.so.6 and ld.so can be started as well: a DT_SONAME without DF_1_PIE tells them from
// programs.
bool OriginalImage::is_program() const {
  if (!position_independent() || (dynamic(elf::kDtFlags1).value_or(0) & elf::kDf1Pie) != 0)
    return true;
  return find_header(elf::kPtInterp) != nullptr && !dynamic(elf::kDtSoname);
}

std::optional<uint64_t> OriginalImage::dynamic(int64_t tag) const {
  std::optional<uint64_t> value;
  for (const elf::Dyn& entry : dynamic_)
    if (entry.tag == tag) value = entry.value;
  return value;
}

ByteView OriginalImage::dynamic_table(int64_t address_tag, int64_t size_tag) const {
  const auto address = dynamic(address_tag), size = dynamic(size_tag);
  if (!address || !size) return {};
  return slice(bytes_from({*address}), 0, *size).value_or(ByteView{});
}

// Of the dynamic symbol table; 0 where it has none of that number.
uint64_t OriginalImage::value_of_symbol(uint64_t index) const {
  const auto table = dynamic(elf::kDtSymtab);
  if (index == 0 || !table) return 0;
  const auto symbol = load<elf::Sym>(bytes_from({*table}), index * sizeof(elf::Sym));
  return symbol ? symbol->value : 0;
}

// Source: gABI "Relocation", "Relative Relocation Table"; x86-64 psABI 4.4.
void OriginalImage::for_each_relocation(const VisitRelocation& visit) const {
  const auto word = [this](uint64_t address) {
    return load<uint64_t>(bytes_from({address}), 0).value_or(0);
  };
  for (const ByteView table : {dynamic_table(elf::kDtRela, elf::kDtRelasz),
                               dynamic_table(elf::kDtJmprel, elf::kDtPltrelsz)})
    for (uint64_t at = 0; range_fits(at, sizeof(elf::Rela), table.size());
         at += sizeof(elf::Rela)) {
      const auto rela = *load<elf::Rela>(table, at);
      visit(rela.offset, bytes_written(rela.info),
            value_of_symbol(rela.info >> 32) + static_cast<uint64_t>(rela.addend));
    }
  const ByteView rels = dynamic_table(elf::kDtRel, elf::kDtRelsz);
  for (uint64_t at = 0; range_fits(at, 16, rels.size()); at += 16) {
    const uint64_t place = *load<uint64_t>(rels, at), info = *load<uint64_t>(rels, at + 8);
    visit(place, bytes_written(info), value_of_symbol(info >> 32) + word(place));
  }
  // An even entry is an address, an odd one a bitmap of the 63 words behind the last.
  const ByteView relr = dynamic_table(elf::kDtRelr, elf::kDtRelrsz);
  uint64_t next = 0;
  for (uint64_t at = 0; range_fits(at, 8, relr.size()); at += 8) {
    uint64_t entry = *load<uint64_t>(relr, at);
    if ((entry & 1) == 0) {
      visit(entry, sizeof(uint64_t), word(entry));
      next = entry + 8;
      continue;
    }
    for (uint64_t place = next; (entry >>= 1) != 0; place += 8)
      if ((entry & 1) != 0) visit(place, sizeof(uint64_t), word(place));
    next += uint64_t{63} * 8;
  }
}

uint64_t OriginalImage::symbols_of_relocations() const {
  uint64_t symbols = 0;
  const auto look = [&symbols](ByteView table, uint64_t size) {
    for (uint64_t at = 0; range_fits(at, size, table.size()); at += size) {
      const uint64_t symbol = *load<uint64_t>(table, at + sizeof(uint64_t)) >> 32;
      if (symbol != 0) symbols = std::max(symbols, symbol + 1);
    }
  };
  look(dynamic_table(elf::kDtRela, elf::kDtRelasz), sizeof(elf::Rela));
  look(dynamic_table(elf::kDtJmprel, elf::kDtPltrelsz), sizeof(elf::Rela));
  look(dynamic_table(elf::kDtRel, elf::kDtRelsz), 2 * sizeof(uint64_t));
  return symbols;
}

std::vector<uint64_t> OriginalImage::starts() const {
  std::vector<uint64_t> starts;
  if (header_.entry != 0) starts.push_back(header_.entry);
  for (const int64_t tag : {elf::kDtInit, elf::kDtFini})
    if (const auto address = dynamic(tag)) starts.push_back(*address);
  for_each_code_symbol([&starts](const elf::Sym& symbol) { starts.push_back(symbol.value); });
  std::sort(starts.begin(), starts.end());
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
  return starts;
}

std::vector<elf::Sym> OriginalImage::sized_functions() const {
  std::vector<elf::Sym> functions;
  for_each_code_symbol([&functions](const elf::Sym& symbol) {
    if ((symbol.info & 0xf) != elf::kSttNotype && symbol.size != 0) functions.push_back(symbol);
  });
  return functions;
}

void OriginalImage::for_each_code_symbol(const std::function<void(const elf::Sym&)>& visit) const {
  for_each_symbol([&visit](const elf::Sym& symbol) {
    const uint8_t type = symbol.info & 0xf;
    const bool code = type == elf::kSttFunc || type == elf::kSttGnuIfunc || type == elf::kSttNotype;
    if (code && symbol.shndx < elf::kShnLoReserve) visit(symbol);
  });
}

// What cannot be read to its end counts as far as it goes: the part of a page behind a segment's
// end is mapped, too.
uint64_t OriginalImage::count_dynamic_symbols() const {
  const auto table_of = [this](int64_t tag) {
    const auto address = dynamic(tag);
    return address ? bytes_from({*address}) : ByteView{};
  };
  return std::max(hash_extent(table_of(elf::kDtHash)).symbols,
                  gnu_hash_extent(table_of(elf::kDtGnuHash)).symbols);
}

ByteView OriginalImage::dynamic_symbols() const {
  const auto address = dynamic(elf::kDtSymtab);
  const ByteView bytes = address ? bytes_from({*address}) : ByteView{};
  return bytes.first(std::min<uint64_t>(bytes.size(), count_dynamic_symbols() * sizeof(elf::Sym)));
}

std::vector<OriginalImage::SymbolTable> OriginalImage::symbol_tables() const {
  std::vector<SymbolTable> tables;
  const ByteView own = dynamic_symbols();
  bool is_section = own.empty();
  for (const elf::Shdr& section : sections()) {
    const bool dynamic = section.type == elf::kShtDynsym;
    if (section.type != elf::kShtSymtab && !dynamic) continue;
    const auto table = slice(bytes_, section.offset, section.size);
    if (!table) continue;
    tables.push_back({*table, dynamic});
    is_section |= dynamic && table->data() == own.data() && table->size() >= own.size();
  }
  if (!is_section) tables.push_back({own, true});
  return tables;
}

void OriginalImage::for_each_symbol(const std::function<void(const elf::Sym&)>& visit) const {
  for (const SymbolTable& table : symbol_tables())
    for (uint64_t at = 0; range_fits(at, sizeof(elf::Sym), table.entries.size());
         at += sizeof(elf::Sym)) {
      const auto symbol = *load<elf::Sym>(table.entries, at);
      if (symbol.shndx != 0 && symbol.value != 0) visit(symbol);
    }
}

}  // namespace sysrewrite
