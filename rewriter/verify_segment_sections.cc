#include "rewriter/verify_segment_sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string>

#include "rewriter/verify_dynamic.h"

namespace sysrewrite {

namespace {

uint64_t slot_of(const RewrittenFile& file) {
  return file.own_segment().offset + file.own_segment().filesz - kPageSize;
}

std::string name_in(ByteView names, uint32_t at) {
  std::string name;
  for (uint64_t i = at; i < names.size() && names[i] != std::byte{0}; ++i)
    name += static_cast<char>(names[i]);
  return name;
}

class SectionsProof {
 public:
  SectionsProof(const Evidenced& in, const std::vector<SiteReading>& sites, OwnSegment& segment,
                Findings& findings)
      : in_(in),
        sites_(sites),
        file_(in.file),
        original_(in.original),
        segment_(segment),
        findings_(findings),
        slot_(slot_of(in.file)),
        header_(*load<elf::Ehdr>(in.output, 0)),
        old_sections_(table_of<elf::Shdr>(original_.bytes(), original_.header().shoff,
                                          original_.header().shnum)),
        sections_(table_of<elf::Shdr>(in.output, header_.shoff, header_.shnum)) {}

  SegmentSections check() {
    if (!read_names()) return {};
    for (size_t i = 0; i < old_sections_.size(); ++i)
      if (!is_table(i)) check_section(i, name(i));
    check_added();
    check_frames();
    check_tables();
    return std::move(out_);
  }

 private:
  bool names_path() const { return (file_.meta().flags & kMetaInterpSegment) != 0; }
  bool symbols() const { return (file_.meta().flags & kMetaSymbols) != 0; }

  std::string name(size_t i) const { return name_in(strings_, sections_[i].name); }
  std::string old_name(size_t i) const {
    return original_name(original_, old_sections_, old_sections_[i]);
  }

  bool put(const elf::Shdr& section, uint64_t offset) {
    const auto bytes = slice(original_.bytes(), section.offset, section.size);
    return bytes && segment_.put(*bytes, offset);
  }

  void section_finding(size_t index, const std::string& name) {
    findings_.at_offset(header_.shoff + index * sizeof(elf::Shdr),
                        fmt::format("the header of section {}", name),
                        "what is neither the original's nor moved",
                        "the original's, or its bytes in the trampoline's segment");
  }

  bool read_names() {
    const uint16_t names = header_.shstrndx;
    if (sections_.size() < old_sections_.size() || old_sections_.empty() ||
        names >= old_sections_.size()) {
      findings_.at_offset(offsetof(elf::Ehdr, shnum), "the section headers",
                          "fewer than there were", "the original's, and those of the trampoline");
      return false;
    }
    const auto strings = slice(in_.output, sections_[names].offset, sections_[names].size);
    if (!strings) {
      section_finding(names, "names");
      return false;
    }
    strings_ = *strings;
    return true;
  }

  // What check_tables() makes anew.
  bool is_table(size_t i) const {
    if (i == original_.header().shstrndx) return true;
    if (!symbols()) return false;
    const auto symtab =
        std::find_if(old_sections_.begin(), old_sections_.end(),
                     [](const elf::Shdr& section) { return section.type == elf::kShtSymtab; });
    if (symtab == old_sections_.end()) return false;
    const auto at = static_cast<size_t>(symtab - old_sections_.begin());
    const bool extends =
        old_sections_[i].type == elf::kShtSymtabShndx && old_sections_[i].link == at;
    return i == at || i == symtab->link || extends;
  }

  // The table that is to be found by its name is the new one.
  bool is_renamed(size_t i, const std::string& now) const {
    const std::string was = old_name(i);
    return (was == ".eh_frame" || was == ".eh_frame_hdr") &&
           now == ".sysrewrite.old_" + was.substr(1);
  }

  // ld.so does not go by the section's size.
  bool is_whole(const elf::Shdr& section) const {
    const bool read_whole = section.type == elf::kShtHash || section.type == elf::kShtGnuHash ||
                            section.type == elf::kShtDynsym;
    return !read_whole || section.size >= bytes_that_are_read(original_, section.type);
  }

  // Notes are found by their headers, and these tables by the dynamic section: all else is looked
  // for where it was.
  bool may_move(const elf::Shdr& section) const {
    const auto is_at = [&](int64_t tag) {
      return original_.dynamic(tag) == std::optional<uint64_t>(section.addr);
    };
    return section.type == elf::kShtNote ||
           (section.type == elf::kShtHash && is_at(elf::kDtHash)) ||
           (section.type == elf::kShtGnuHash && is_at(elf::kDtGnuHash)) ||
           (section.type == elf::kShtDynsym && is_at(elf::kDtSymtab));
  }

  void check_section(size_t i, const std::string& name) {
    const elf::Shdr& now = sections_[i];
    elf::Shdr expected = old_sections_[i];
    if (is_renamed(i, name)) {
      renamed_.emplace_back(i, name);
      expected.name = now.name;
    }
    if (std::memcmp(&now, &expected, sizeof(now)) == 0) return;
    const elf::Phdr* interp = original_.find_header(elf::kPtInterp);
    const bool path = names_path() && interp != nullptr && expected.offset == interp->offset &&
                      expected.size == interp->filesz;
    expected.addr = now.addr;
    expected.offset = now.offset;
    if (path) expected.size = now.size;
    const bool held = path || (may_move(old_sections_[i]) && put(old_sections_[i], now.offset));
    const bool congruent = expected.addralign == 0 || now.addr % expected.addralign == 0;
    if (std::memcmp(&now, &expected, sizeof(now)) != 0 || !held || !congruent ||
        !segment_.holds(now.addr, now.offset, now.size))
      section_finding(i, name);
    if (!is_whole(old_sections_[i]))
      findings_.at_offset(header_.shoff + i * sizeof(elf::Shdr), "a section that was moved",
                          "fewer bytes than ld.so reads of it", "all of them");
    if (!path) out_.moved.push_back({old_sections_[i].addr, old_sections_[i].size, now.addr});
  }

  // Ours cover the rest of both segments; the first is that of the stubs.
  void check_added() {
    for (size_t i = old_sections_.size(); i < sections_.size(); ++i) {
      const elf::Shdr& now = sections_[i];
      const std::string name = this->name(i);
      if (symbols() && name == ".symtab") return;
      const bool code = name == ".sysrewrite.text", table = name == ".eh_frame",
                 search = name == ".eh_frame_hdr";
      const bool plain = name == ".interp" || table || search;
      const uint64_t flags = elf::kShfAlloc | (code    ? elf::kShfExecInstr
                                               : plain ? 0
                                                       : elf::kShfWrite);
      const uint64_t alignment = table ? 8 : search ? 4 : 1;
      const bool ours = code || plain || name == ".sysrewrite.meta" || name == ".sysrewrite.slot";
      const bool first = i == old_sections_.size() || !code;
      const bool placed = code ? now.addr == file_.trailer().vaddr + kPageSize &&
                                     now.offset == slot_ + kPageSize &&
                                     now.size == file_.trailer().size - kPageSize
                               : segment_.holds(now.addr, now.offset, now.size);
      if (!ours || !first || !placed || now.flags != flags || now.type != elf::kShtProgbits ||
          now.addralign != alignment || now.link != 0 || now.info != 0 || now.entsize != 0)
        section_finding(i, name);
      if (table) table_ = i;
      if (search) search_ = i;
      added_.emplace_back(i, name);
    }
  }

  // Both tables, or neither; and the old ones are then known by other names.
  void check_frames() {
    const auto old = [this](const char* name) -> std::optional<size_t> {
      for (size_t i = 0; i < old_sections_.size(); ++i)
        if (old_name(i) == name) return i;
      return std::nullopt;
    };
    const auto old_table = old(".eh_frame"), old_search = old(".eh_frame_hdr");
    const size_t expected = table_ ? size_t{old_table.has_value()} + old_search.has_value() : 0;
    findings_.same_number(header_.shoff, "the number of renamed sections", renamed_.size(),
                          expected);
    findings_.same_number(header_.shoff, "the number of search tables", search_.has_value(),
                          table_ && old_search);
    if (!table_) return;
    const elf::Shdr& table = sections_[*table_];
    const UnwindTables tables = expected_unwind_tables(
        in_, sites_, old_table ? std::optional(old_sections_[*old_table]) : std::nullopt,
        {table.addr}, search_.has_value());
    const bool placed = table.size == tables.table.size() && !tables.table.empty() &&
                        segment_.put(tables.table, table.offset);
    if (!placed) section_finding(*table_, ".eh_frame");
    if (!search_) return;
    const elf::Shdr& search = sections_[*search_];
    if (search.addr != table.addr + table.size || search.size != tables.search.size() ||
        !segment_.put(tables.search, search.offset))
      section_finding(*search_, ".eh_frame_hdr");
    out_.search_table = search.addr;
    out_.search_size = search.size;
  }

  void check_tables() {
    SectionPart part;
    part.begin = slot_ + std::max<uint64_t>(kPageSize, file_.trailer().size);
    part.limit = in_.output.size();
    part.old_count = old_sections_.size();
    part.sections = old_sections_;
    for (size_t i = 0; i < old_sections_.size(); ++i)
      if (!is_table(i)) part.sections[i] = sections_[i];
    std::sort(renamed_.begin(), renamed_.end(),
              [](const auto& a, const auto& b) { return a.second < b.second; });
    part.names = renamed_;
    for (auto& [index, name] : added_) {
      part.sections.push_back(sections_[index]);
      part.names.emplace_back(index, std::move(name));
    }
    part.symbols = symbols();
    verify_section_part(in_, sites_, std::move(part), findings_);
  }

  const Evidenced& in_;
  const std::vector<SiteReading>& sites_;
  const RewrittenFile& file_;
  const OriginalImage& original_;
  OwnSegment& segment_;
  Findings& findings_;
  const uint64_t slot_;
  const elf::Ehdr header_;
  const std::vector<elf::Shdr> old_sections_, sections_;
  ByteView strings_;
  std::vector<std::pair<size_t, std::string>> renamed_, added_;
  std::optional<size_t> table_, search_;
  SegmentSections out_;
};

}  // namespace

OwnSegment::OwnSegment(const RewrittenFile& file)
    : segment_(file.own_segment()),
      from_(segment_.offset + file.meta().meta_size),
      expected_(slot_of(file) - from_) {}

bool OwnSegment::holds(uint64_t address, uint64_t offset, uint64_t size) const {
  return address >= segment_.vaddr && range_fits(address - segment_.vaddr, size, segment_.filesz) &&
         offset - segment_.offset == address - segment_.vaddr;
}

bool OwnSegment::put(ByteView bytes, uint64_t offset) {
  if (offset < from_ || !range_fits(offset - from_, bytes.size(), expected_.size())) return false;
  std::copy(bytes.begin(), bytes.end(),
            expected_.begin() + static_cast<std::ptrdiff_t>(offset - from_));
  return true;
}

void OwnSegment::check(ByteView output, Findings& findings) const {
  const ByteView found = output.subspan(from_, expected_.size());
  const auto [here, there] = std::mismatch(found.begin(), found.end(), expected_.begin());
  if (here == found.end()) return;
  const auto at = static_cast<uint64_t>(here - found.begin());
  findings.at_offset(from_ + at, "the trampoline's segment", hex_text(found.subspan(at, 1)),
                     hex_text(ByteView(expected_).subspan(at, 1)));
}

SegmentSections verify_segment_sections(const Evidenced& in, const std::vector<SiteReading>& sites,
                                        OwnSegment& segment, Findings& findings) {
  return SectionsProof(in, sites, segment, findings).check();
}

}  // namespace sysrewrite
