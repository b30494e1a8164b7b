#include <algorithm>
#include <cstddef>

#include "rewriter/verify_tables.h"

namespace sysrewrite {

namespace {

// What one edit must be.
struct ExpectedEdit {
  uint64_t offset;
  EditKind kind;
  std::vector<std::byte> bytes;
};

template <typename T>
std::vector<std::byte> copy_of(const T& value) {
  const ByteView view = as_byte_view(&value, sizeof(value));
  return {view.begin(), view.end()};
}

class HeaderProof {
 public:
  HeaderProof(ByteView output, const RewrittenFile& file, const OriginalImage& original,
              Findings& findings)
      : output_(output),
        file_(file),
        meta_(file.meta()),
        original_(original),
        findings_(findings),
        meta_at_(file.meta_offset().value),
        interp_(file.meta_offset().value + meta_.interp.offset) {}

  void check() {
    check_facts();
    check_path();
    check_started();
    // verify_segment() reads those of a segment, which are of another kind.
    if (!file_.is_segment()) {
      const std::vector<ExpectedEdit> expected = expected_edits();
      check_edits(expected);
      check_rest_of_headers(expected);
    }
    check_new_table();
  }

 private:
  void check_facts() {
    const auto fact = [this](size_t field, const char* what, uint64_t found, uint64_t expected) {
      findings_.same_number(meta_at_ + field, what, found, expected);
    };
    uint64_t base = original_.loads().empty() ? 0 : original_.loads().front().vaddr;
    for (const elf::Phdr& load : original_.loads())
      if ((load.flags & elf::kFlagExec) != 0) {
        base = load.vaddr;
        break;
      }
    uint64_t table = 0;
    const uint64_t phoff = original_.header().phoff;
    for (const elf::Phdr& load : original_.loads())
      if (table == 0 && phoff >= load.offset && phoff - load.offset < load.filesz)
        table = load.vaddr + (phoff - load.offset);
    fact(offsetof(MetaHeader, base_vaddr), "the base address", meta_.base_vaddr, base);
    fact(offsetof(MetaHeader, entry_vaddr), "the recorded entry point", meta_.entry_vaddr,
         original_.header().entry);
    fact(offsetof(MetaHeader, phdr_vaddr), "where the program headers are mapped", meta_.phdr_vaddr,
         table);
    fact(offsetof(MetaHeader, input_phnum), "the number of program headers", meta_.input_phnum,
         original_.header().phnum);
    fact(offsetof(MetaHeader, flags), "the flag of an interpreter",
         meta_.flags & uint32_t{kMetaInterpreter},
         original_.is_interpreter() ? uint32_t{kMetaInterpreter} : 0);
  }

  uint32_t start() const {
    return meta_.flags &
           (kMetaHeadersMoved | kMetaInterpInPlace | kMetaInterpMoved | kMetaInterpSegment);
  }

  // An absolute path, NUL at its end and nowhere else, where and only where it is needed.
  void check_path() {
    const ByteView path = file_.interpreter();
    if (start() == 0) {
      findings_.same_number(interp_, "the size of an interpreter path that nothing uses",
                            path.size(), 0);
      return;
    }
    const auto end = std::find(path.begin(), path.end(), std::byte{0});
    if (path.size() < 2 || path.size() > 4096 || path[0] != std::byte{'/'} || end + 1 != path.end())
      findings_.at_offset(interp_, "the interpreter path", hex_text(path),
                          "an absolute path of at most 4095 bytes");
  }

  // A library gets no path, unless it has one: ld.so would pass over what names its own loader, and
  // an ld.so of its own table elsewhere does not find itself.
  void check_started() {
    const bool names_path = start() == kMetaInterpSegment;
    if (names_path && !original_.is_program() && original_.find_header(elf::kPtInterp) == nullptr)
      findings_.same_number(meta_at_ + offsetof(MetaHeader, flags),
                            "the flag of a path for what nobody starts", start(), 0);
  }

  // That the header names the right table is proven with the symbols.
  std::vector<ExpectedEdit> expected_edits() {
    std::vector<ExpectedEdit> edits = start_edits();
    if ((meta_.flags & kMetaSymbols) == 0) return edits;
    constexpr size_t kFirst = offsetof(elf::Ehdr, shentsize);
    const auto header = *load<elf::Ehdr>(output_, 0);
    const ByteView counts = as_byte_view(&header, sizeof(header)).subspan(kFirst);
    edits.push_back({offsetof(elf::Ehdr, shoff), EditKind::kElfHeader, copy_of(header.shoff)});
    edits.push_back({kFirst, EditKind::kElfHeader, {counts.begin(), counts.end()}});
    return edits;
  }

  std::vector<ExpectedEdit> start_edits() {
    const elf::Phdr* interp = original_.find_header(elf::kPtInterp);
    switch (start()) {
      case 0:
        return {};
      case kMetaHeadersMoved: {
        if (interp != nullptr || !original_.is_program()) break;
        const uint64_t table = meta_at_ + meta_.phdrs.offset;
        const auto count = static_cast<uint16_t>(new_table().size());
        return {{offsetof(elf::Ehdr, phoff), EditKind::kElfHeader, copy_of(table)},
                {offsetof(elf::Ehdr, phnum), EditKind::kElfHeader, copy_of(count)}};
      }
      case kMetaInterpInPlace: {
        const ByteView path = file_.interpreter();
        if (interp == nullptr || !fits(path, *interp) || interp->filesz > 4096) break;
        std::vector<std::byte> bytes(interp->filesz);
        std::copy(path.begin(), path.end(), bytes.begin());
        return {{interp->offset, EditKind::kInterpreterPath, bytes}};
      }
      case kMetaInterpMoved: {
        if (interp != nullptr && fits(file_.interpreter(), *interp)) break;
        // An interpreter has none; its note becomes one.
        if (original_.is_interpreter()) interp = original_.find_header(elf::kPtNote);
        if (interp == nullptr) break;
        elf::Phdr header = *interp;
        header.type = elf::kPtInterp;
        header.offset = interp_;
        header.filesz = file_.interpreter().size();
        const auto index = static_cast<uint64_t>(interp - original_.program_headers().data());
        return {{original_.header().phoff + index * sizeof(elf::Phdr), EditKind::kProgramHeader,
                 copy_of(header)}};
      }
      default:
        break;
    }
    findings_.same_number(meta_at_ + offsetof(MetaHeader, flags),
                          "flags that do not fit the input's PT_INTERP and kind", start(), 0);
    return {};
  }

  static bool fits(ByteView path, const elf::Phdr& interp) { return path.size() <= interp.filesz; }

  void check_edits(const std::vector<ExpectedEdit>& expected) {
    const uint64_t table = meta_at_ + meta_.edits.offset;
    if (!findings_.same_number(meta_at_ + offsetof(MetaHeader, edits) + 4, "the number of edits",
                               file_.edit_count(), expected.size()))
      return;
    for (uint32_t i = 0; i < file_.edit_count(); ++i) {
      const EditRecord edit = file_.edit(i);
      const uint64_t record = table + uint64_t{i} * sizeof(EditRecord);
      const auto same = [&](size_t field, const char* what, uint64_t found, uint64_t wanted) {
        return findings_.same_number(record + field, what, found, wanted);
      };
      if (!same(offsetof(EditRecord, offset), "an edit's offset", edit.offset,
                expected[i].offset) ||
          !same(offsetof(EditRecord, size), "an edit's size", edit.size,
                expected[i].bytes.size()) ||
          !same(offsetof(EditRecord, kind), "an edit's kind", static_cast<uint32_t>(edit.kind),
                static_cast<uint32_t>(expected[i].kind)))
        continue;
      const ByteView found = output_.subspan(edit.offset, edit.size);
      if (!std::equal(found.begin(), found.end(), expected[i].bytes.begin()))
        findings_.at_offset(edit.offset, "an edited header", hex_text(found),
                            hex_text(expected[i].bytes));
    }
  }

  // Whatever else was recorded, who reads the headers finds the original's but for these edits.
  void check_rest_of_headers(const std::vector<ExpectedEdit>& edits) {
    const elf::Ehdr& header = original_.header();
    same_but_for(edits, 0, sizeof(elf::Ehdr), "the ELF header");
    same_but_for(edits, header.phoff, uint64_t{header.phnum} * sizeof(elf::Phdr),
                 "the program headers");
  }

  void same_but_for(const std::vector<ExpectedEdit>& edits, uint64_t from, uint64_t size,
                    const char* what) {
    const ByteView was = original_.bytes().subspan(from, size);
    std::vector<std::byte> expected(was.begin(), was.end());
    for (const ExpectedEdit& edit : edits) {
      if (edit.kind == EditKind::kInterpreterPath || edit.offset < from ||
          !range_fits(edit.offset - from, edit.bytes.size(), size))
        continue;
      std::copy(edit.bytes.begin(), edit.bytes.end(),
                expected.begin() + static_cast<std::ptrdiff_t>(edit.offset - from));
    }
    const ByteView found = output_.subspan(from, size);
    const auto [ours, theirs] =
        std::mismatch(found.begin(), found.end(), expected.begin(), expected.end());
    if (ours == found.end()) return;
    const auto at = static_cast<uint64_t>(ours - found.begin());
    findings_.at_offset(from + at, what, hex_text(found.subspan(at, 1)),
                        hex_text(ByteView(expected).subspan(at, 1)));
  }

  // The segment that maps the moved table of a position-independent program, behind all others.
  elf::Phdr own_load(size_t count) const {
    uint64_t end = 0;
    for (const elf::Phdr& load : original_.loads()) end = std::max(end, load.vaddr + load.memsz);
    elf::Phdr own{};
    own.type = elf::kPtLoad;
    own.flags = elf::kFlagRead;
    own.offset = meta_at_ + meta_.phdrs.offset;
    own.vaddr = own.paddr = align_up(end, kPageSize) + own.offset % kPageSize;
    own.filesz = own.memsz = count * sizeof(elf::Phdr);
    own.align = kPageSize;
    return own;
  }

  // PT_INTERP in front, behind it the input's own table, and in it the segment that maps all this.
  std::vector<elf::Phdr> new_table() const {
    elf::Phdr interp{};
    interp.type = elf::kPtInterp;
    interp.flags = elf::kFlagRead;
    interp.offset = interp_;
    interp.filesz = interp.memsz = file_.interpreter().size();
    interp.align = 1;
    std::vector<elf::Phdr> table{interp};
    const auto& headers = original_.program_headers();
    table.insert(table.end(), headers.begin(), headers.end());
    if (!original_.position_independent()) return table;
    size_t behind = table.size();
    while (behind > 1 && table[behind - 1].type != elf::kPtLoad) --behind;
    table.insert(table.begin() + static_cast<std::ptrdiff_t>(behind), own_load(table.size() + 1));
    return table;
  }

  void check_new_table() {
    const bool moved = (start() & kMetaHeadersMoved) != 0;
    const std::vector<elf::Phdr> headers = new_table();
    if (!findings_.same_number(meta_at_ + offsetof(MetaHeader, phdrs) + 4,
                               "the number of moved program headers", meta_.phdrs.count,
                               moved ? headers.size() : 0) ||
        !moved)
      return;
    for (size_t i = 0; i < headers.size(); ++i) {
      const uint64_t at = meta_.phdrs.offset + i * sizeof(elf::Phdr);
      const auto found = slice(file_.metadata(), at, sizeof(elf::Phdr)).value_or(ByteView{});
      const std::vector<std::byte> expected = copy_of(headers[i]);
      if (!std::equal(found.begin(), found.end(), expected.begin(), expected.end()))
        findings_.at_offset(meta_at_ + at, "a moved program header", hex_text(found),
                            hex_text(expected));
    }
  }

  ByteView output_;
  const RewrittenFile& file_;
  const MetaHeader& meta_;
  const OriginalImage& original_;
  Findings& findings_;
  const uint64_t meta_at_, interp_;
};

}  // namespace

void verify_headers(ByteView output, const RewrittenFile& file, const OriginalImage& original,
                    Findings& findings) {
  HeaderProof(output, file, original, findings).check();
}

}  // namespace sysrewrite
