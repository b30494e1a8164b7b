#include "rewriter/verify_segment_sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string>

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
  SectionsProof(ByteView output, const RewrittenFile& file, const OriginalImage& original,
                OwnSegment& segment, Findings& findings)
      : output_(output),
        file_(file),
        original_(original),
        segment_(segment),
        findings_(findings),
        slot_(slot_of(file)),
        header_(*load<elf::Ehdr>(output, 0)),
        old_sections_(table_of<elf::Shdr>(original.bytes(), original.header().shoff,
                                          original.header().shnum)),
        sections_(table_of<elf::Shdr>(output, header_.shoff, header_.shnum)) {}

  std::vector<MovedSection> check() {
    check_sections();
    return std::move(moved_);
  }

 private:
  bool names_path() const { return (file_.meta().flags & kMetaInterpSegment) != 0; }

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

  void check_sections() {
    const uint16_t names = header_.shstrndx;
    if (sections_.size() < old_sections_.size() || old_sections_.empty() ||
        names >= old_sections_.size()) {
      findings_.at_offset(offsetof(elf::Ehdr, shnum), "the section headers",
                          "fewer than there were", "the original's, and those of the trampoline");
      return;
    }
    const auto strings = slice(output_, sections_[names].offset, sections_[names].size);
    const auto old =
        slice(original_.bytes(), old_sections_[names].offset, old_sections_[names].size);
    if (!strings || !old || strings->size() < old->size() ||
        !std::equal(old->begin(), old->end(), strings->begin())) {
      section_finding(names, "names");
      return;
    }
    for (size_t i = 0; i < old_sections_.size(); ++i)
      if (i != names) check_section(i, name_in(*strings, sections_[i].name));
    check_added(*strings);
    const uint64_t stubs_end = slot_ + std::max<uint64_t>(kPageSize, file_.trailer().size);
    findings_.same_number(header_.shoff, "where the sections' names stand", sections_[names].offset,
                          stubs_end);
    const uint64_t names_end = sections_[names].offset + sections_[names].size;
    findings_.same_number(offsetof(elf::Ehdr, shoff), "where the section headers stand",
                          header_.shoff, align_down(names_end + 7, 8));
    findings_.zeros(output_, names_end, std::min<uint64_t>(header_.shoff, output_.size()),
                    "the gap behind the sections' names");
  }

  void check_section(size_t i, const std::string& name) {
    const elf::Shdr& now = sections_[i];
    elf::Shdr expected = old_sections_[i];
    if (std::memcmp(&now, &expected, sizeof(now)) == 0) return;
    const elf::Phdr* interp = original_.find_header(elf::kPtInterp);
    const bool path = names_path() && interp != nullptr && expected.offset == interp->offset &&
                      expected.size == interp->filesz;
    expected.addr = now.addr;
    expected.offset = now.offset;
    if (path) expected.size = now.size;
    const bool held = path || put(old_sections_[i], now.offset);
    const bool congruent = expected.addralign == 0 || now.addr % expected.addralign == 0;
    if (std::memcmp(&now, &expected, sizeof(now)) != 0 || !held || !congruent ||
        !segment_.holds(now.addr, now.offset, now.size))
      section_finding(i, name);
    if (!path) moved_.push_back({old_sections_[i].addr, old_sections_[i].size, now.addr});
  }

  // Ours cover the rest of both segments.
  void check_added(ByteView strings) {
    for (size_t i = old_sections_.size(); i < sections_.size(); ++i) {
      const elf::Shdr& now = sections_[i];
      const std::string name = name_in(strings, now.name);
      const bool code = name == ".sysrewrite.text";
      const uint64_t flags = elf::kShfAlloc | (code                ? elf::kShfExecInstr
                                               : name == ".interp" ? 0
                                                                   : elf::kShfWrite);
      const bool ours =
          code || name == ".interp" || name == ".sysrewrite.meta" || name == ".sysrewrite.slot";
      const bool placed = code ? now.addr == file_.trailer().vaddr + kPageSize &&
                                     now.offset == slot_ + kPageSize &&
                                     now.size == file_.trailer().size - kPageSize
                               : segment_.holds(now.addr, now.offset, now.size);
      if (!ours || !placed || now.flags != flags || now.type != elf::kShtProgbits ||
          now.addralign != 1 || now.link != 0 || now.info != 0 || now.entsize != 0)
        section_finding(i, name);
    }
  }

  ByteView output_;
  const RewrittenFile& file_;
  const OriginalImage& original_;
  OwnSegment& segment_;
  Findings& findings_;
  const uint64_t slot_;
  const elf::Ehdr header_;
  const std::vector<elf::Shdr> old_sections_, sections_;
  std::vector<MovedSection> moved_;
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

std::vector<MovedSection> verify_segment_sections(ByteView output, const RewrittenFile& file,
                                                  const OriginalImage& original,
                                                  OwnSegment& segment, Findings& findings) {
  return SectionsProof(output, file, original, segment, findings).check();
}

}  // namespace sysrewrite
