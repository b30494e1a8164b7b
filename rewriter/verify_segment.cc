#include "rewriter/verify_segment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

#include "rewriter/verify_references.h"
#include "rewriter/verify_segment_sections.h"
#include "rewriter/verify_symbols.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kTable = sizeof(elf::Ehdr);  // where the program headers stand, old and new

template <typename T>
ByteView view_of(const T& value) {
  return as_byte_view(&value, sizeof(value));
}

class SegmentProof {
 public:
  SegmentProof(const Evidenced& in, const std::vector<SiteReading>& sites, Findings& findings)
      : in_(in),
        sites_(sites),
        output_(in.output),
        file_(in.file),
        original_(in.original),
        findings_(findings),
        own_(in.file.own_segment()),
        header_(*load<elf::Ehdr>(in.output, 0)) {}

  void check() {
    headers_ = table_of<elf::Phdr>(output_, header_.phoff, header_.phnum);
    check_place();
    check_elf_header();
    sections_ = verify_segment_sections(in_, sites_, segment_, findings_);
    check_program_headers();
    check_edits();
    segment_.check(output_, findings_);
  }

 private:
  bool names_path() const { return (file_.meta().flags & kMetaInterpSegment) != 0; }

  void check_place() {
    uint64_t end = 0;
    for (const elf::Phdr& load : original_.loads()) end = std::max(end, load.vaddr + load.memsz);
    findings_.same_number(kTable, "the address of the trampoline's segment", own_.vaddr,
                          align_up(end, kPageSize));
    findings_.same_number(kTable, "the offset of the trampoline's segment", own_.offset,
                          align_up(original_.bytes().size(), kPageSize));
    findings_.same_number(kTable, "where the metadata starts", file_.meta_offset().value,
                          own_.offset);
    findings_.zeros(output_, original_.bytes().size(), own_.offset, "the gap behind the input");
  }

  void check_elf_header() {
    elf::Ehdr expected = original_.header();
    findings_.same_number(offsetof(elf::Ehdr, phoff), "e_phoff", expected.phoff, kTable);
    expected.phnum = header_.phnum;
    expected.shnum = header_.shnum;
    expected.shoff = header_.shoff;  // verify_segment_sections()
    if (std::memcmp(&expected, &header_, sizeof(expected)) != 0)
      findings_.at_offset(0, "the ELF header", hex_text(view_of(header_)),
                          hex_text(view_of(expected)));
  }

  void check_program_headers() {
    std::vector<elf::Phdr> rest;
    bool has_code = false;
    size_t own = 0, paths = 0;
    for (const elf::Phdr& header : headers_) {
      const bool is_new_path = header.type == elf::kPtInterp && names_path() &&
                               original_.find_header(elf::kPtInterp) == nullptr;
      if (is_new_path) {
        ++paths;
        check_path_header(header, {});
      } else if (std::memcmp(&header, &own_, sizeof(own_)) == 0) {
        ++own;
        check_own(header, elf::kFlagRead | elf::kFlagWrite);
      } else if (file_.has_sites() && header.type == elf::kPtLoad &&
                 header.vaddr == own_.vaddr + own_.filesz && !has_code) {
        has_code = true;  // its ranges were checked when the trailer was read
        check_own(header, elf::kFlagRead | elf::kFlagExec);
      } else {
        rest.push_back(header);
      }
    }
    const bool needs_path = names_path() && original_.find_header(elf::kPtInterp) == nullptr;
    findings_.same_number(kTable, "the number of new program headers", own + has_code + paths,
                          1 + size_t{file_.has_sites()} + needs_path);
    check_order();
    compare_with_old(rest);
  }

  void check_own(const elf::Phdr& header, uint32_t flags) {
    elf::Phdr expected = header;
    expected.flags = flags;
    expected.align = kPageSize;
    expected.paddr = header.vaddr;
    expected.memsz = header.filesz;
    same_header(header, expected);
  }

  void same_header(const elf::Phdr& found, const elf::Phdr& expected) {
    if (std::memcmp(&found, &expected, sizeof(found)) != 0)
      findings_.at_offset(kTable, fmt::format("a program header of type {:#x}", found.type),
                          hex_text(view_of(found)), hex_text(view_of(expected)));
  }

  // gABI: by ascending address. The kernel and every ld.so rely on it.
  void check_order() {
    uint64_t free_from = 0;
    for (const elf::Phdr& header : headers_) {
      if (header.type != elf::kPtLoad || header.memsz == 0) continue;
      if (header.vaddr < free_from)
        findings_.at_offset(kTable, "the order of segments", fmt::format("{:#x}", header.vaddr),
                            "ascending addresses");
      free_from = header.vaddr + header.memsz;
    }
  }

  // In order, each as it was or as it must be; only what says the same twice may be missing.
  void compare_with_old(const std::vector<elf::Phdr>& rest) {
    const auto& old = original_.program_headers();
    size_t next = 0;
    for (const elf::Phdr& was : old) {
      if (next < rest.size() && check_header(rest[next], was)) {
        check_still_there(rest[next], was);
        ++next;
      } else if (!may_be_dropped(was)) {
        findings_.at_offset(kTable, fmt::format("a program header of type {:#x}", was.type),
                            next < rest.size() ? hex_text(view_of(rest[next])) : "none",
                            hex_text(view_of(was)) + " or the like");
        return;
      }
    }
    findings_.same_number(kTable, "the number of old program headers", next, rest.size());
  }

  // What a header names must not be what the longer table has overwritten. Of the segment that
  // holds the table check_overwritten() asks, of the path check_path_header().
  void check_still_there(const elf::Phdr& now, const elf::Phdr& was) {
    const bool holds_table = was.type == elf::kPtLoad && was.offset == 0;
    if (holds_table || was.type == elf::kPtPhdr || was.type == elf::kPtInterp) return;
    const uint64_t from = kTable + original_.program_headers().size() * sizeof(elf::Phdr);
    const uint64_t to = kTable + headers_.size() * sizeof(elf::Phdr);
    if (now.filesz != 0 && now.offset < to && now.offset + now.filesz > from)
      findings_.at_offset(
          kTable, fmt::format("a program header of type {:#x}", was.type),
          fmt::format("bytes at {:#x}, which the longer table overwrites", now.offset),
          "bytes in the trampoline's segment");
  }

  bool may_be_dropped(const elf::Phdr& was) const {
    if (was.type != elf::kPtNote && was.type != elf::kPtGnuProperty) return false;
    const auto& old = original_.program_headers();
    return std::any_of(old.begin(), old.end(), [&was](const elf::Phdr& other) {
      return other.type != was.type && other.offset == was.offset && other.filesz == was.filesz &&
             (other.type == elf::kPtNote || other.type == elf::kPtGnuProperty);
    });
  }

  bool check_header(const elf::Phdr& now, const elf::Phdr& was) {
    if (now.type != was.type) return false;
    const uint64_t table = headers_.size() * sizeof(elf::Phdr);
    elf::Phdr expected = was;
    if (was.type == elf::kPtPhdr) expected.filesz = expected.memsz = table;
    // Behind what is in the file there may be room on its last page, but where a .bss begins there.
    const bool grows = was.type == elf::kPtLoad && was.offset == 0 && was.memsz != 0 &&
                       was.memsz == was.filesz && was.filesz < kTable + table &&
                       kTable + table <= align_up(was.filesz, kPageSize);
    if (grows) expected.filesz = expected.memsz = kTable + table;
    if (was.type == elf::kPtInterp && names_path()) {
      check_path_header(now, was);
      return true;
    }
    if (was.type == elf::kPtGnuEhFrame && sections_.search_table) {
      expected.offset = own_.offset + (*sections_.search_table - own_.vaddr);
      expected.vaddr = expected.paddr = *sections_.search_table;
      expected.filesz = expected.memsz = sections_.search_size;
    }
    const bool note = was.type == elf::kPtNote || was.type == elf::kPtGnuProperty;
    if (note && segment_.holds(now.vaddr, now.offset, now.filesz)) return is_moved_note(now, was);
    return std::memcmp(&now, &expected, sizeof(now)) == 0;
  }

  // The same bytes, as aligned as before.
  bool is_moved_note(const elf::Phdr& now, const elf::Phdr& was) const {
    elf::Phdr expected = was;
    expected.offset = now.offset;
    expected.vaddr = expected.paddr = now.vaddr;
    const auto then = slice(original_.bytes(), was.offset, was.filesz);
    const auto here = slice(output_, now.offset, now.filesz);
    const bool aligned = now.align <= 1 || now.vaddr % now.align == was.vaddr % now.align;
    return std::memcmp(&now, &expected, sizeof(now)) == 0 && aligned && then && here &&
           std::equal(then->begin(), then->end(), here->begin(), here->end());
  }

  void check_path_header(const elf::Phdr& now, const elf::Phdr& was) {
    const ByteView path = file_.interpreter();
    elf::Phdr expected = was;
    expected.type = elf::kPtInterp;
    expected.flags = elf::kFlagRead;
    expected.align = 1;
    expected.offset = now.offset;
    expected.vaddr = expected.paddr = now.vaddr;
    expected.filesz = expected.memsz = std::max<uint64_t>(path.size(), was.filesz);
    same_header(now, expected);
    const bool placed =
        segment_.holds(now.vaddr, now.offset, now.filesz) && segment_.put(path, now.offset);
    if (!placed)
      findings_.at_offset(kTable, "PT_INTERP", fmt::format("{:#x}", now.vaddr),
                          "an address in the trampoline's segment");
  }

  // Header, table, and the dynamic entries of what moved.
  void check_edits() {
    const auto record_at = [this](uint32_t i) {
      return file_.meta_offset().value + file_.meta().edits.offset + i * sizeof(EditRecord);
    };
    uint64_t end = kTable;
    for (uint32_t i = 0; i < file_.edit_count(); ++i) {
      const EditRecord edit = file_.edit(i);
      const bool holds =
          i == 0   ? edit.kind == EditKind::kElfHeader && edit.offset == 0 && edit.size == kTable
          : i == 1 ? edit.kind == EditKind::kProgramHeader && edit.offset == kTable
                   : edit.kind == EditKind::kDynamic && edit.size == sizeof(uint64_t);
      if (!holds)
        findings_.at_offset(record_at(i), "an edit",
                            fmt::format("one of {} bytes at {:#x}", edit.size, edit.offset),
                            "the ELF header, the program headers, or a dynamic entry");
      if (i == 1) end = edit.offset + edit.size;
      if (holds && edit.kind == EditKind::kDynamic) check_dynamic(edit);
    }
    const uint64_t table_end = kTable + headers_.size() * sizeof(elf::Phdr);
    if (file_.edit_count() < 2 || end < table_end) {
      findings_.same_number(record_at(1), "the end of the program headers' edit", end, table_end);
      return;
    }
    findings_.zeros(output_, table_end, end, "the rest of the program headers' edit");
    check_overwritten(end);
    check_references(end);
    check_dynamic_entries(end);
  }

  // Where something is now that the original had at an address.
  std::optional<uint64_t> now_at(uint64_t address) const {
    for (const MovedSection& moved : sections_.moved)
      if (moved.was == address) return moved.now;
    return std::nullopt;
  }

  // The file offsets of the dynamic entries, found by address as ld.so finds them.
  std::vector<uint64_t> dynamic_entries() const {
    std::vector<uint64_t> entries;
    const elf::Phdr* header = original_.find_header(elf::kPtDynamic);
    if (header == nullptr) return entries;
    for (const elf::Phdr& load : original_.loads()) {
      const uint64_t skip = header->vaddr - load.vaddr;
      if (header->vaddr < load.vaddr || skip >= load.filesz) continue;
      for (uint64_t at = skip; range_fits(at, sizeof(elf::Dyn), load.filesz);
           at += sizeof(elf::Dyn)) {
        const uint64_t offset = load.offset + at;
        if (sysrewrite::load<elf::Dyn>(original_.bytes(), offset)->tag == elf::kDtNull) break;
        entries.push_back(offset);
      }
    }
    return entries;
  }

  void check_dynamic(const EditRecord& edit) {
    const auto entries = dynamic_entries();
    const bool inside =
        edit.offset >= 8 && std::binary_search(entries.begin(), entries.end(), edit.offset - 8);
    const auto entry = inside ? load<elf::Dyn>(original_.bytes(), edit.offset - 8) : std::nullopt;
    const bool known = entry && (entry->tag == elf::kDtHash || entry->tag == elf::kDtGnuHash ||
                                 entry->tag == elf::kDtSymtab);
    const auto expected = known ? now_at(entry->value) : std::nullopt;
    const uint64_t found = *load<uint64_t>(output_, edit.offset);
    if (found != expected)
      findings_.at_offset(edit.offset, "a changed dynamic entry", fmt::format("{:#x}", found),
                          expected ? fmt::format("{:#x}", *expected) : "no change");
  }

  // Behind the old table every byte that a section has, or that is not zero, is one that a section
  // took along, or the path.
  void check_overwritten(uint64_t end) {
    const elf::Phdr* interp = original_.find_header(elf::kPtInterp);
    const uint64_t base = original_.loads().empty() ? 0 : original_.loads().front().vaddr;
    const uint64_t from = kTable + original_.program_headers().size() * sizeof(elf::Phdr);
    const std::vector<elf::Shdr> sections = original_sections(original_);
    for (uint64_t at = from; at < std::min<uint64_t>(end, original_.bytes().size()); ++at) {
      const bool owned =
          std::any_of(sections.begin(), sections.end(), [at](const elf::Shdr& section) {
            return (section.flags & elf::kShfAlloc) != 0 && section.type != elf::kShtNobits &&
                   at >= section.offset && at - section.offset < section.size;
          });
      if (!owned && original_.bytes()[at] == std::byte{0}) continue;
      const bool path = names_path() && interp != nullptr && at >= interp->offset &&
                        at - interp->offset < interp->filesz;
      const bool took = std::any_of(
          sections_.moved.begin(), sections_.moved.end(), [&](const MovedSection& moved) {
            return base + at >= moved.was && base + at - moved.was < moved.size;
          });
      if (path || took) continue;
      findings_.at_offset(at, "a byte behind the program headers", "that it is lost",
                          "a place in the trampoline's segment");
      return;
    }
  }

  // What stood there, and what moved with it. Zeros that no section has are nobody's; and an old
  // path behind all that stays what it was.
  void check_references(uint64_t end) {
    std::vector<LostBytes> lost;
    for (const MovedSection& moved : sections_.moved) {
      lost.push_back({moved.was, moved.was + moved.size});
      // Tables are found by the dynamic section, and read from their start.
      if (is_dynamic_table(moved.was) || is_note_of_the_linker(moved))
        lost.back().meant = {moved.was};
    }
    const elf::Phdr* interp = original_.find_header(elf::kPtInterp);
    if (names_path() && interp != nullptr && interp->offset < end)
      lost.push_back({interp->vaddr, interp->vaddr + interp->filesz, names_of_path(interp->vaddr)});
    verify_references(original_, in_.decoder, lost, findings_);
  }

  bool is_dynamic_table(uint64_t address) const {
    const auto is_at = [&](int64_t tag) {
      return original_.dynamic(tag) == std::optional<uint64_t>(address);
    };
    return is_at(elf::kDtHash) || is_at(elf::kDtGnuHash) || is_at(elf::kDtSymtab);
  }

  // NT_GNU_ABI_TAG or NT_GNU_PROPERTY_TYPE_0, and nothing else: for the kernel and ld.so.
  bool is_note_of_the_linker(const MovedSection& section) const {
    const ByteView rest = original_.bytes_from({section.was});
    const ByteView bytes = rest.first(std::min(rest.size(), section.size));
    const auto note = load<elf::Nhdr>(bytes, 0);
    const auto owner = load<uint32_t>(bytes, sizeof(elf::Nhdr));
    return note && owner == elf::kOwnerGnu && note->namesz == sizeof(*owner) &&
           (note->type == elf::kNtGnuAbiTag || note->type == elf::kNtGnuPropertyType0) &&
           section.size == sizeof(*note) + sizeof(*owner) + uint64_t{note->descsz};
  }

  // A path is meant as a whole, or from one of its names on.
  std::vector<uint64_t> names_of_path(uint64_t start) const {
    std::vector<uint64_t> names{start};
    const ByteView path = original_.bytes_from({start});
    for (size_t i = 0; i + 1 < path.size() && path[i] != std::byte{0}; ++i)
      if (path[i] == std::byte{'/'}) names.push_back(start + i + 1);
    return names;
  }

  static bool leads_to_table(int64_t tag) {
    constexpr int64_t kTags[] = {elf::kDtHash, elf::kDtGnuHash, elf::kDtSymtab, elf::kDtStrtab,
                                 elf::kDtRela, elf::kDtRel,     elf::kDtRelr,   elf::kDtJmprel};
    return std::find(std::begin(kTags), std::end(kTags), tag) != std::end(kTags);
  }

  // Nothing is led to bytes that are overwritten.
  void check_dynamic_entries(uint64_t end) {
    const uint64_t base = original_.loads().empty() ? 0 : original_.loads().front().vaddr;
    const uint64_t from = kTable + original_.program_headers().size() * sizeof(elf::Phdr);
    for (const uint64_t at : dynamic_entries()) {
      const auto entry = load<elf::Dyn>(output_, at);
      if (entry && leads_to_table(entry->tag) && entry->value >= base + from &&
          entry->value - base < end)
        findings_.at_offset(at, "a dynamic entry",
                            fmt::format("{:#x}, which the program headers overwrite", entry->value),
                            "the new place");
    }
  }

  const Evidenced& in_;
  const std::vector<SiteReading>& sites_;
  ByteView output_;
  const RewrittenFile& file_;
  const OriginalImage& original_;
  Findings& findings_;
  const elf::Phdr own_;
  const elf::Ehdr header_;
  std::vector<elf::Phdr> headers_;
  OwnSegment segment_{file_};
  SegmentSections sections_;
};

}  // namespace

void verify_segment(const Evidenced& in, const std::vector<SiteReading>& sites,
                    Findings& findings) {
  SegmentProof(in, sites, findings).check();
}

}  // namespace sysrewrite
