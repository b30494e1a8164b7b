#include <algorithm>
#include <cstddef>

#include "rewriter/verify_symbols.h"

namespace sysrewrite {

namespace {

template <typename T>
void append_value(std::vector<std::byte>& out, const T& value) {
  const ByteView bytes = as_byte_view(&value, sizeof(value));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void append_text(std::vector<std::byte>& out, const std::string& text) {
  const ByteView bytes = as_byte_view(text.c_str(), text.size() + 1);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

std::string text_at(ByteView bytes, uint64_t offset, size_t longest) {
  std::string text;
  for (; offset < bytes.size() && bytes[offset] != std::byte{0} && text.size() < longest; ++offset)
    text += static_cast<char>(bytes[offset]);
  return text;
}

std::vector<std::byte> copy_of(ByteView bytes) {
  return {bytes.begin(), bytes.end()};
}

class PartProof {
 public:
  PartProof(const Evidenced& in, const std::vector<SiteReading>& sites, SectionPart part,
            Findings& findings)
      : in_(in), findings_(findings), part_(std::move(part)), sections_(part_.sections) {
    for (const SiteReading& site : sites)
      if (site.record.tier != Tier::kNative) sites_.push_back(site);
  }

  void check() {
    find_old();
    if (part_.symbols) {
      if (symtab_ && !strings_) {
        findings_.at_offset(part_.begin, "the symbols of the restored input",
                            "that their strings are in no section", "a string table");
        return;
      }
      make_symbols();
      if (!read_names()) return;
    }
    make_headers();
    write_parts();
    compare();
  }

 private:
  ByteView old_bytes(std::optional<size_t> index) const {
    return index ? original_bytes(in_.original, sections_[*index]) : ByteView{};
  }
  size_t old_count() const { return part_.old_count; }

  void find_old() {
    const uint16_t names = in_.original.header().shstrndx;
    if (old_count() > 1 && names < old_count()) names_ = names;
    for (size_t i = 1; i < old_count(); ++i) {
      if (part_.symbols && sections_[i].type == elf::kShtSymtab && !symtab_) symtab_ = i;
      if (part_.debug_frames && !debug_ &&
          original_name(in_.original, sections_, sections_[i]) == ".debug_frame")
        debug_ = i;
    }
    if (!symtab_) return;
    if (sections_[*symtab_].link < old_count()) strings_ = sections_[*symtab_].link;
    for (size_t i = 1; i < old_count(); ++i)
      if (sections_[i].type == elf::kShtSymtabShndx && sections_[i].link == *symtab_) extended_ = i;
  }

  // The symbols in front of the stubs' own.
  void make_symbols() {
    symbols_ = copy_of(old_bytes(symtab_));
    texts_ = copy_of(old_bytes(strings_));
    if (texts_.empty()) texts_.push_back(std::byte{0});
    if (symtab_) return;
    append_value(symbols_, elf::Sym{});
    const auto dynamic =
        std::find_if(sections_.begin(), sections_.end(),
                     [](const elf::Shdr& section) { return section.type == elf::kShtDynsym; });
    if (dynamic == sections_.end() || dynamic->link >= old_count()) return;
    // Where they are in the original: they may have moved.
    const std::vector<elf::Shdr> old = original_sections(in_.original);
    const auto& section = old[static_cast<size_t>(dynamic - sections_.begin())];
    const ByteView table = original_bytes(in_.original, section);
    const ByteView texts = original_bytes(in_.original, old[section.link]);
    for (uint64_t at = 0; range_fits(at, sizeof(elf::Sym), table.size()); at += sizeof(elf::Sym)) {
      auto symbol = *load<elf::Sym>(table, at);
      if (symbol.shndx == 0 || symbol.info < 16) continue;  // undefined, or local
      const std::string name = text_at(texts, symbol.name, 4096);
      symbol.name = static_cast<uint32_t>(texts_.size());
      append_value(symbols_, symbol);
      append_text(texts_, name);
    }
  }

  // The stubs' names stand behind the other symbols' in their string table.
  bool read_names() {
    const uint64_t symbols = symbols_.size() + sites_.size() * sizeof(elf::Sym);
    uint64_t at = part_.begin + align_up(symbols, 8);
    if (extended_) at += align_up(symbols / sizeof(elf::Sym) * sizeof(uint32_t), 8);
    at += texts_.size();
    const uint64_t first = at;
    const ByteView part = in_.output.first(part_.limit);
    std::vector<std::string> names;
    for (const SiteReading& site : sites_) {
      names.push_back(text_at(part, at, 2048));
      at += names.back().size() + 1;
      elf::Sym symbol{};
      symbol.name = static_cast<uint32_t>(texts_.size());
      symbol.info = 0x12;  // global, function
      symbol.other = 2;    // hidden
      symbol.shndx = static_cast<uint16_t>(old_count());
      symbol.value = site.stub.value;
      symbol.size = site.record.stub_size;
      append_value(symbols_, symbol);
      append_text(texts_, names.back());
    }
    if (at > part_.limit) {
      findings_.at_offset(part_.begin, "the names of stubs",
                          "that they leave their part of the file", "names");
      return false;
    }
    verify_stub_names(in_, sites_, names, first, findings_);
    return true;
  }

  void make_headers() {
    frames_ = part_.debug_frames ? frames() : std::vector<std::byte>();
    if (!frames_.empty() && !debug_) {
      elf::Shdr section{};
      section.type = elf::kShtProgbits;
      section.addralign = 8;
      debug_ = add(".debug_frame", section);
    }
    elf::Shdr texts{};
    texts.type = elf::kShtStrtab;
    texts.addralign = 1;
    if (part_.symbols && !symtab_) {
      elf::Shdr section{};
      section.type = elf::kShtSymtab;
      section.link = static_cast<uint32_t>(sections_.size() + 1);
      section.info = 1;
      section.addralign = 8;
      section.entsize = sizeof(elf::Sym);
      symtab_ = add(".symtab", section);
      strings_ = add(".strtab", texts);
    }
    shared_ = part_.symbols && names_ && names_ == strings_;
    name_texts_ = copy_of(old_bytes(names_));
    if (name_texts_.empty()) name_texts_.push_back(std::byte{0});
    if (!names_) names_ = add(".shstrtab", texts);
    std::vector<std::byte>& into = shared_ ? texts_ : name_texts_;
    for (const auto& [section, name] : part_.names) {
      sections_[section].name = static_cast<uint32_t>(into.size());
      append_text(into, name);
    }
  }

  size_t add(const char* name, const elf::Shdr& section) {
    part_.names.emplace_back(sections_.size(), name);
    sections_.push_back(section);
    return sections_.size() - 1;
  }

  // The whole .debug_frame, where there is something to be added to it, and it can be.
  std::vector<std::byte> frames() {
    std::vector<std::byte> old;
    if (debug_) {
      const elf::Shdr& section = sections_[*debug_];
      if (section.type != elf::kShtProgbits ||
          (section.flags & (elf::kShfAlloc | elf::kShfCompressed)) != 0 ||
          !slice(in_.original.bytes(), section.offset, section.size))
        return {};
      old = copy_of(old_bytes(debug_));
    }
    const std::vector<std::byte> added = expected_frames(in_, sites_, old.size());
    if (added.empty()) return {};
    old.insert(old.end(), added.begin(), added.end());
    return old;
  }

  void write(size_t index, const std::vector<std::byte>& bytes) {
    sections_[index].offset = part_.begin + bytes_.size();
    sections_[index].size = bytes.size();
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    bytes_.resize(align_up(bytes_.size(), 8));
  }

  void write_parts() {
    if (part_.symbols) {
      write(*symtab_, symbols_);
      if (extended_) {
        std::vector<std::byte> extended = copy_of(old_bytes(extended_));
        extended.resize(symbols_.size() / sizeof(elf::Sym) * sizeof(uint32_t));
        write(*extended_, extended);
      }
      write(*strings_, texts_);
    }
    if (!shared_) write(*names_, name_texts_);
    if (!frames_.empty()) write(*debug_, frames_);
    table_ = part_.begin + bytes_.size();
    for (const elf::Shdr& section : sections_) append_value(bytes_, section);
  }

  void compare() {
    const uint64_t end = part_.begin + bytes_.size();
    findings_.zeros(in_.output, end, part_.limit, "the gap behind the section headers");
    findings_.same_number(offsetof(elf::Ehdr, shoff), "what follows the section headers",
                          part_.limit, align_up(end, alignment()));
    const ByteView found = in_.output.first(part_.limit).subspan(part_.begin);
    const auto [ours, theirs] =
        std::mismatch(bytes_.begin(), bytes_.end(), found.begin(), found.end());
    if (ours != bytes_.end()) {
      const auto at = static_cast<uint64_t>(ours - bytes_.begin());
      const uint64_t rest = found.size() - std::min<uint64_t>(at, found.size());
      findings_.at_offset(
          part_.begin + at, "the section headers' part",
          hex_text(found.last(rest).first(std::min<uint64_t>(8, rest))),
          hex_text(ByteView(bytes_).subspan(at, std::min<uint64_t>(8, bytes_.size() - at))));
    }
    const auto header = *load<elf::Ehdr>(in_.output, 0);
    findings_.same_number(offsetof(elf::Ehdr, shoff), "e_shoff", header.shoff, table_);
    findings_.same_number(offsetof(elf::Ehdr, shentsize), "e_shentsize", header.shentsize,
                          sizeof(elf::Shdr));
    findings_.same_number(offsetof(elf::Ehdr, shnum), "e_shnum", header.shnum, sections_.size());
    findings_.same_number(offsetof(elf::Ehdr, shstrndx), "e_shstrndx", header.shstrndx, *names_);
  }

  // Of what follows.
  uint64_t alignment() const {
    if (in_.file.is_segment()) return 1;
    return in_.file.is_litebox() ? 16 : kPageSize;
  }

  const Evidenced& in_;
  Findings& findings_;
  SectionPart part_;
  std::vector<SiteReading> sites_;  // those with a stub
  std::vector<elf::Shdr> sections_;
  uint64_t table_ = 0;
  std::optional<size_t> symtab_, strings_, names_, extended_, debug_;
  bool shared_ = false;
  std::vector<std::byte> symbols_, texts_, name_texts_, frames_, bytes_;
};

}  // namespace

void verify_section_part(const Evidenced& in, const std::vector<SiteReading>& sites,
                         SectionPart part, Findings& findings) {
  PartProof(in, sites, std::move(part), findings).check();
}

void verify_symbols(const Evidenced& in, const std::vector<SiteReading>& sites,
                    Findings& findings) {
  if ((in.file.meta().flags & kMetaSymbols) == 0 || sites.size() != in.file.site_count()) return;
  SectionPart part;
  part.begin = align_up(in.file.meta().input_size, 8);
  part.limit = in.file.is_litebox() ? in.file.meta_offset().value : in.file.trailer().offset;
  const bool has_stubs = std::any_of(sites.begin(), sites.end(), [](const SiteReading& site) {
    return site.record.tier != Tier::kNative;
  });
  if (part.begin > part.limit || !has_stubs) {
    findings.at_offset(part.begin, "the symbols of stubs", "no stub, or no room", "some");
    return;
  }
  findings.zeros(in.output, in.file.meta().input_size, part.begin, "the gap behind the input");
  part.sections = original_sections(in.original);
  if (part.sections.empty()) part.sections.push_back({});
  part.old_count = part.sections.size();
  const uint64_t slot = in.file.first_stub().value;
  elf::Shdr stubs{};
  stubs.type = elf::kShtProgbits;
  stubs.flags = 6;  // in memory, executable
  stubs.addr = in.file.trailer().vaddr + slot;
  stubs.offset = in.file.trailer().offset + slot;
  stubs.size = in.file.trailer().size - slot;
  stubs.addralign = 1;
  part.names.emplace_back(part.sections.size(), ".sysrewrite");
  part.sections.push_back(stubs);
  part.symbols = part.debug_frames = true;
  verify_section_part(in, sites, std::move(part), findings);
}

std::vector<elf::Shdr> original_sections(const OriginalImage& original) {
  const elf::Ehdr& header = original.header();
  std::vector<elf::Shdr> sections;
  if (header.shoff == 0 || header.shentsize != sizeof(elf::Shdr)) return sections;
  const auto table =
      slice(original.bytes(), header.shoff, uint64_t{header.shnum} * sizeof(elf::Shdr));
  if (!table) return sections;
  for (uint64_t at = 0; at < table->size(); at += sizeof(elf::Shdr))
    sections.push_back(*load<elf::Shdr>(*table, at));
  return sections;
}

ByteView original_bytes(const OriginalImage& original, const elf::Shdr& section) {
  return slice(original.bytes(), section.offset, section.size).value_or(ByteView{});
}

std::string original_name(const OriginalImage& original, const std::vector<elf::Shdr>& sections,
                          const elf::Shdr& section) {
  const uint16_t names = original.header().shstrndx;
  if (names >= sections.size()) return {};
  return text_at(original_bytes(original, sections[names]), section.name, 256);
}

}  // namespace sysrewrite
