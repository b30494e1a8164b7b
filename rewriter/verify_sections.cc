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

// What stands between the input and the trampoline (or, in litebox files, the metadata).
class SymbolProof {
 public:
  SymbolProof(const Evidenced& in, const std::vector<SiteReading>& sites, Findings& findings)
      : in_(in), findings_(findings), sections_(original_sections(in.original)) {
    for (const SiteReading& site : sites)
      if (site.record.tier != Tier::kNative) sites_.push_back(site);
    begin_ = align_up(in.file.meta().input_size, 8);
    limit_ = in.file.is_litebox() ? in.file.meta_offset().value : in.file.trailer().offset;
  }

  void check() {
    if (begin_ > limit_ || sites_.empty()) {
      findings_.at_offset(begin_, "the symbols of stubs", "no stub, or no room", "some");
      return;
    }
    if (sections_.empty()) sections_.push_back({});
    old_count_ = sections_.size();
    find_old();
    if (symtab_ && !strings_) {
      findings_.at_offset(begin_, "the symbols of the restored input",
                          "that their strings are in no section", "a string table");
      return;
    }
    make_symbols();
    if (!read_names()) return;
    make_headers();
    write_parts();
    compare();
  }

 private:
  ByteView old_bytes(std::optional<size_t> index) const {
    return index ? original_bytes(in_.original, sections_[*index]) : ByteView{};
  }

  void find_old() {
    const uint16_t names = in_.original.header().shstrndx;
    if (old_count_ > 1 && names < old_count_) names_ = names;
    for (size_t i = 1; i < old_count_; ++i) {
      if (sections_[i].type == elf::kShtSymtab && !symtab_) symtab_ = i;
      if (!debug_ && original_name(in_.original, sections_, sections_[i]) == ".debug_frame")
        debug_ = i;
    }
    if (!symtab_) return;
    if (sections_[*symtab_].link < old_count_) strings_ = sections_[*symtab_].link;
    for (size_t i = 1; i < old_count_; ++i)
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
    if (dynamic == sections_.end() || dynamic->link >= old_count_) return;
    const ByteView table = original_bytes(in_.original, *dynamic);
    const ByteView texts = original_bytes(in_.original, sections_[dynamic->link]);
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
    uint64_t at = begin_ + align_up(symbols, 8);
    if (extended_) at += align_up(symbols / sizeof(elf::Sym) * sizeof(uint32_t), 8);
    at += texts_.size();
    const uint64_t first = at;
    const ByteView part = in_.output.first(limit_);
    std::vector<std::string> names;
    for (const SiteReading& site : sites_) {
      names.push_back(text_at(part, at, 2048));
      at += names.back().size() + 1;
      elf::Sym symbol{};
      symbol.name = static_cast<uint32_t>(texts_.size());
      symbol.info = 0x12;  // global, function
      symbol.other = 2;    // hidden
      symbol.shndx = static_cast<uint16_t>(old_count_);
      symbol.value = site.stub.value;
      symbol.size = site.record.stub_size;
      append_value(symbols_, symbol);
      append_text(texts_, names.back());
    }
    if (at > limit_) {
      findings_.at_offset(begin_, "the names of stubs", "that they leave their part of the file",
                          "names");
      return false;
    }
    verify_stub_names(in_, sites_, names, first, findings_);
    return true;
  }

  void make_headers() {
    frames_ = frames();
    elf::Shdr stubs{};
    stubs.type = elf::kShtProgbits;
    stubs.flags = 6;  // in memory, executable
    const uint64_t slot = in_.file.first_stub().value;
    stubs.addr = in_.file.trailer().vaddr + slot;
    stubs.offset = in_.file.trailer().offset + slot;
    stubs.size = in_.file.trailer().size - slot;
    stubs.addralign = 1;
    add(".sysrewrite", stubs);
    if (!frames_.empty() && !debug_) {
      elf::Shdr section{};
      section.type = elf::kShtProgbits;
      section.addralign = 8;
      debug_ = add(".debug_frame", section);
    }
    elf::Shdr texts{};
    texts.type = elf::kShtStrtab;
    texts.addralign = 1;
    if (!symtab_) {
      elf::Shdr section{};
      section.type = elf::kShtSymtab;
      section.link = static_cast<uint32_t>(sections_.size() + 1);
      section.info = 1;
      section.addralign = 8;
      section.entsize = sizeof(elf::Sym);
      symtab_ = add(".symtab", section);
      strings_ = add(".strtab", texts);
    }
    shared_ = names_ && names_ == strings_;
    name_texts_ = copy_of(old_bytes(names_));
    if (name_texts_.empty()) name_texts_.push_back(std::byte{0});
    if (!names_) {
      added_names_.emplace_back(".shstrtab");
      names_ = sections_.size();
      sections_.push_back(texts);
    }
    std::vector<std::byte>& into = shared_ ? texts_ : name_texts_;
    for (size_t i = 0; i < added_names_.size(); ++i) {
      sections_[old_count_ + i].name = static_cast<uint32_t>(into.size());
      append_text(into, added_names_[i]);
    }
  }

  size_t add(const char* name, const elf::Shdr& section) {
    added_names_.emplace_back(name);
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
    sections_[index].offset = begin_ + part_.size();
    sections_[index].size = bytes.size();
    part_.insert(part_.end(), bytes.begin(), bytes.end());
    part_.resize(align_up(part_.size(), 8));
  }

  void write_parts() {
    write(*symtab_, symbols_);
    if (extended_) {
      std::vector<std::byte> extended = copy_of(old_bytes(extended_));
      extended.resize(symbols_.size() / sizeof(elf::Sym) * sizeof(uint32_t));
      write(*extended_, extended);
    }
    write(*strings_, texts_);
    if (!shared_) write(*names_, name_texts_);
    if (!frames_.empty()) write(*debug_, frames_);
    table_ = begin_ + part_.size();
    for (const elf::Shdr& section : sections_) append_value(part_, section);
  }

  void compare() {
    const uint64_t end = begin_ + part_.size();
    const uint64_t alignment = in_.file.is_litebox() ? 16 : kPageSize;
    findings_.same_number(in_.output.size() - sizeof(Trailer), "what follows the section headers",
                          limit_, align_up(end, alignment));
    findings_.zeros(in_.output, in_.file.meta().input_size, begin_, "the gap behind the input");
    findings_.zeros(in_.output, end, limit_, "the gap behind the section headers");
    const ByteView found = in_.output.first(limit_).subspan(begin_);
    const auto [ours, theirs] =
        std::mismatch(part_.begin(), part_.end(), found.begin(), found.end());
    if (ours != part_.end()) {
      const auto at = static_cast<uint64_t>(ours - part_.begin());
      const uint64_t rest = found.size() - std::min<uint64_t>(at, found.size());
      findings_.at_offset(
          begin_ + at, "the section headers' part",
          hex_text(found.last(rest).first(std::min<uint64_t>(8, rest))),
          hex_text(ByteView(part_).subspan(at, std::min<uint64_t>(8, part_.size() - at))));
    }
    const auto header = *load<elf::Ehdr>(in_.output, 0);
    findings_.same_number(offsetof(elf::Ehdr, shoff), "e_shoff", header.shoff, table_);
    findings_.same_number(offsetof(elf::Ehdr, shentsize), "e_shentsize", header.shentsize,
                          sizeof(elf::Shdr));
    findings_.same_number(offsetof(elf::Ehdr, shnum), "e_shnum", header.shnum, sections_.size());
    findings_.same_number(offsetof(elf::Ehdr, shstrndx), "e_shstrndx", header.shstrndx, *names_);
  }

  const Evidenced& in_;
  Findings& findings_;
  std::vector<SiteReading> sites_;  // those with a stub
  uint64_t begin_ = 0, limit_ = 0, table_ = 0;
  std::vector<elf::Shdr> sections_;
  size_t old_count_ = 0;
  std::optional<size_t> symtab_, strings_, names_, extended_, debug_;
  bool shared_ = false;
  std::vector<std::byte> symbols_, texts_, name_texts_, frames_, part_;
  std::vector<std::string> added_names_;
};

}  // namespace

void verify_symbols(const Evidenced& in, const std::vector<SiteReading>& sites,
                    Findings& findings) {
  if ((in.file.meta().flags & kMetaSymbols) == 0 || sites.size() != in.file.site_count()) return;
  SymbolProof(in, sites, findings).check();
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
