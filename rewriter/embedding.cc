#include "rewriter/embedding.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "rewriter/hash_tables.h"
#include "rewriter/references.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kPieceAlignment = 64;  // no section that moves asks for more
constexpr uint64_t kPathAlignment = 16;   // as glibc's libc.so.6 has it
constexpr uint64_t kFramesAlignment = 8, kSearchAlignment = 4;
// Bytes of the writable segment; a stub and its window must reach each other across it anyway.
constexpr uint64_t kLongestSegment = uint64_t{1} << 30;

template <typename T>
std::vector<std::byte> bytes_of(const T& value) {
  const ByteView view = as_byte_view(&value, sizeof(value));
  return {view.begin(), view.end()};
}

bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size) {
  return a < b + b_size && b < a + a_size;
}

bool is_note(const elf::Phdr& header) {
  return header.type == elf::kPtNote || header.type == elf::kPtGnuProperty;
}

// What moves in a piece is as far from a multiple of it as before.
bool is_kept(uint64_t alignment) {
  return (alignment & (alignment - 1)) == 0 && alignment <= kPieceAlignment;
}

// An empty segment holds nothing, whatever its offset.
bool holds_headers(const elf::Phdr& header) {
  return header.type == elf::kPtLoad && header.offset == 0 && header.memsz != 0;
}

Error refusal(uint64_t where, std::string why) {
  return {ErrorCode::kOptions, where,
          fmt::format("--embed=segment does not fit this file: {}; leave it away, and strip before "
                      "rewriting",
                      why)};
}

// The dynamic entries that lead to what may move.
bool leads_to_piece(int64_t tag) {
  return tag == elf::kDtHash || tag == elf::kDtGnuHash || tag == elf::kDtSymtab;
}

}  // namespace

class Embedding::Planner {
 public:
  Planner(const ElfImage& image, const StartPlan& start) : image_(image), plan_(image, start) {}

  Result<Embedding> run() {
    if (auto error = check_file()) return *error;
    collect_sections();
    find_droppable();
    auto error = make_room();
    while (error && plan_.dropped_.size() < droppable_.size()) {
      plan_.dropped_.push_back(droppable_[plan_.dropped_.size()]);
      error = make_room();
    }
    if (error) return *error;
    place();
    return std::move(plan_);
  }

 private:
  uint64_t table_at() const { return image_.header().phoff; }
  uint64_t table_end() const {
    return table_at() + image_.program_headers().size() * sizeof(elf::Phdr);
  }

  std::optional<Error> check_file() const {
    if (image_.kind() == ImageKind::kInterpreter)
      return refusal(0, "it is an interpreter, whose own headers must stay as they are");
    if (image_.counts_sections_elsewhere())
      return refusal(offsetof(elf::Ehdr, shnum), "it has more sections than e_shnum can say");
    if (image_.sections().empty())
      return refusal(image_.header().shoff,
                     "it has no section headers, by which strip and objcopy know what to keep");
    constexpr size_t kMostSections = elf::kShnLoReserve - 4;  // less ours
    if (image_.sections().size() > kMostSections)
      return refusal(image_.header().shoff, "it has more than 65,000 sections");
    const uint16_t names = image_.header().shstrndx;
    if (names == 0 || names >= image_.sections().size() ||
        !slice(image_.bytes(), image_.sections()[names].offset, image_.sections()[names].size))
      return refusal(image_.header().shoff, "its sections have no names");
    if (table_at() != sizeof(elf::Ehdr))
      return refusal(offsetof(elf::Ehdr, phoff),
                     "its program headers do not stand behind the ELF header");
    const Segment& first = image_.segments().front();
    if (first.offset.value != 0 || !range_fits(0, table_end(), first.file_size))
      return refusal(table_at(), "its program headers are not in its first segment");
    return std::nullopt;
  }

  // In the file's order: what the program has in memory and the file has bytes for.
  void collect_sections() {
    for (const elf::Shdr& section : image_.sections())
      if ((section.flags & elf::kShfAlloc) != 0 && section.type != elf::kShtNobits &&
          section.size != 0)
        sections_.push_back(&section);
    std::sort(sections_.begin(), sections_.end(),
              [](const elf::Shdr* a, const elf::Shdr* b) { return a->offset < b->offset; });
  }

  // PT_GNU_PROPERTY says a second time what the PT_NOTE of the same bytes says; and that one is for
  // linkers, which read sections.
  // Source: Linux Extensions to gABI, "Program Property"; glibc, elf/dl-load.c.
  void find_droppable() {
    const auto& headers = image_.program_headers();
    for (size_t i = 0; i < headers.size(); ++i) {
      if (headers[i].type != elf::kPtGnuProperty) continue;
      for (size_t k = 0; k < headers.size(); ++k)
        if (headers[k].type == elf::kPtNote && headers[k].offset == headers[i].offset &&
            headers[k].filesz == headers[i].filesz)
          droppable_ = {i, k};
    }
  }

  // The new entries: two segments, and PT_INTERP where there was none.
  uint64_t more() const {
    const bool names = plan_.start_->change == StartChange::kPathInSegment;
    return names && image_.find_header(elf::kPtInterp) == nullptr ? 3 : 2;
  }

  std::optional<Error> make_room() {
    piece_from_ = piece_to_ = 0;
    const uint64_t count = image_.program_headers().size() + more() - plan_.dropped_.size();
    new_end_ = table_at() + count * sizeof(elf::Phdr);
    edit_end_ = std::max(new_end_, table_end());
    uint64_t limit = new_end_;
    // A piece that cuts a note in two grows, which may bring in another section.
    for (uint64_t before = 0; before != limit;) {
      before = limit;
      if (auto error = take_sections(limit)) return error;
      grow_to_whole_notes(limit);
    }
    if (auto error = check_segments()) return error;
    if (auto error = check_rest()) return error;
    return check_references();
  }

  std::optional<Error> take_sections(uint64_t limit) {
    for (const elf::Shdr* section : sections_) {
      if (section->offset + section->size <= table_end()) continue;
      if (section->offset >= limit) break;
      if (plan_.is_path(*section)) {
        edit_end_ = std::max(edit_end_, section->offset + section->size);
        continue;
      }
      if (section->offset < table_end() || !may_move(*section))
        return refusal(section->offset,
                       fmt::format("{} stands where the longer program-header table would, up to "
                                   "{:#x}, and must stay",
                                   image_.section_name(*section), new_end_));
      if (piece_to_ == 0) piece_from_ = section->offset;
      piece_to_ = std::max(piece_to_, section->offset + section->size);
    }
    return std::nullopt;
  }

  bool may_move(const elf::Shdr& section) const {
    if (!is_kept(section.addralign)) return false;
    if (section.addralign != 0 && section.addr % section.addralign != 0) return false;
    const auto is_at = [this, &section](int64_t tag) {
      return image_.dynamic(tag) == std::optional<uint64_t>(section.addr);
    };
    switch (section.type) {
      case elf::kShtNote:
        return true;
      case elf::kShtHash:
        return is_at(elf::kDtHash) && is_whole(section, hash_bytes(elf::kDtHash));
      case elf::kShtGnuHash:
        return is_at(elf::kDtGnuHash) && is_whole(section, hash_bytes(elf::kDtGnuHash));
      case elf::kShtDynsym:
        return is_at(elf::kDtSymtab) && is_whole(section, used_symbol_bytes(image_));
      default:
        return false;
    }
  }

  // What ld.so reads of it moves along: it does not go by the section's size.
  static bool is_whole(const elf::Shdr& section, std::optional<uint64_t> used) {
    return used && *used <= section.size;
  }
  std::optional<uint64_t> hash_bytes(int64_t tag) const {
    const auto table = read_hash_table(image_, tag);
    return table && table->is_whole ? std::optional(table->size) : std::nullopt;
  }

  void grow_to_whole_notes(uint64_t& limit) {
    for (const elf::Phdr& header : image_.program_headers()) {
      const bool cut = is_note(header) && piece_to_ != 0 && header.offset < piece_to_ &&
                       header.offset + header.filesz > piece_to_;
      if (cut) limit = std::max(limit, header.offset + header.filesz);
    }
  }

  // What else the program headers name must not be in the way.
  std::optional<Error> check_segments() const {
    const uint64_t from = table_end(), to = std::max(edit_end_, piece_to_);
    for (const elf::Phdr& header : image_.program_headers()) {
      if (header.filesz == 0 || !overlap(header.offset, header.filesz, from, to - from)) continue;
      if (header.type == elf::kPtPhdr || header.type == elf::kPtInterp) continue;
      if (holds_headers(header)) continue;
      const bool whole = is_note(header) && header.offset >= piece_from_ &&
                         header.offset + header.filesz <= piece_to_ && is_kept(header.align);
      if (!whole)
        return refusal(header.offset, fmt::format("a segment of type {:#x} stands where the longer "
                                                  "program-header table would, up to {:#x}",
                                                  header.type, new_end_));
    }
    return std::nullopt;
  }

  // Bytes that no section accounts for are nobody's only where they are zero. The first segment may
  // grow to the end of its page, if it is all in the file.
  std::optional<Error> check_rest() const {
    const Segment& first = image_.segments().front();
    const uint64_t page_end = align_up(first.file_size, kPageSize);
    const bool fits = new_end_ <= first.file_size ||
                      (new_end_ <= page_end && first.memory_size == first.file_size);
    if (!fits || edit_end_ > image_.bytes().size())
      return refusal(new_end_, "its first segment ends before the longer program-header table");
    for (uint64_t at = table_end(); at < new_end_; ++at) {
      const bool known = std::any_of(sections_.begin(), sections_.end(), [at](const auto* section) {
        return at >= section->offset && at - section->offset < section->size;
      });
      if (!known && image_.bytes()[at] != std::byte{0})
        return refusal(at, "there are bytes behind its program headers that no section has");
    }
    return std::nullopt;
  }

  // Of the sections that are overwritten or move none may be wanted where it stands now. Zeros
  // between them are nobody's.
  std::optional<Error> check_references() const {
    const Vaddr base = image_.lowest();
    Range lost{base, base};
    std::vector<Range> targets;
    for (const elf::Shdr* section : sections_) {
      const uint64_t end = section->offset + section->size;
      if (end <= table_end()) continue;
      if (section->offset >= std::max(edit_end_, piece_to_)) break;
      if (lost.to == base) lost.from = base + section->offset;
      lost.to = std::max(lost.to, base + end);
      add_targets(*section, targets);
    }
    const auto reference = find_reference(image_, lost, targets);
    if (!reference) return std::nullopt;
    return refusal(reference->address - base.value,
                   fmt::format("{} refers to {:#x}, where the longer program-header table would "
                               "stand, or what must make room for it",
                               reference->by, reference->address));
  }

  // What of a section code or data may mean by its address. What linkers make for the system is
  // meant as a whole: large tables, as .gnu.hash of a program of 100 MB, would else be met by
  // chance, by words that are numbers. Of a path it is the start, and its names'.
  void add_targets(const elf::Shdr& section, std::vector<Range>& targets) const {
    const Vaddr start = image_.lowest() + section.offset;
    const auto add = [&](Vaddr from, uint64_t size) { targets.push_back({from, from + size}); };
    if (section.type == elf::kShtNote && !is_systems_note(section)) return add(start, section.size);
    add(start, 1);
    if (!plan_.is_path(section)) return;
    for (uint64_t at = 0; at + 1 < section.size; ++at)
      if (image_.bytes()[section.offset + at] == std::byte{'/'}) add(start + at + 1, 1);
  }

  // The kernel or ld.so reads it, and the program does not; it may read its build ID.
  bool is_systems_note(const elf::Shdr& section) const {
    const ByteView bytes = slice(image_.bytes(), section.offset, section.size).value_or(ByteView{});
    const auto note = load<elf::Nhdr>(bytes, 0);
    const auto owner = load<uint32_t>(bytes, sizeof(elf::Nhdr));
    return note && owner == elf::kOwnerGnu && note->namesz == sizeof(*owner) &&
           (note->type == elf::kNtGnuAbiTag || note->type == elf::kNtGnuPropertyType0) &&
           sizeof(*note) + sizeof(*owner) + uint64_t{note->descsz} == bytes.size();
  }

  void place() {
    plan_.data_ = {align_up(image_.highest_end().value, kPageSize)};
    plan_.frames_ = MergedFrames::plan(image_, plan_.data_, plan_.data_ + kLongestSegment);
    plan_.piece_ = piece_from_;
    plan_.piece_size_ = piece_to_ - piece_from_;
    if (plan_.start_->change == StartChange::kPathInSegment) {
      const auto old = image_.interpreter();
      plan_.path_size_ =
          std::max<uint64_t>(plan_.start_->interpreter.size() + 1, old ? old->size() : 0);
    }
    plan_.table_end_ = edit_end_;
  }

  const ElfImage& image_;
  Embedding plan_;
  std::vector<const elf::Shdr*> sections_;
  std::vector<size_t> droppable_;
  uint64_t piece_from_ = 0, piece_to_ = 0;
  uint64_t new_end_ = 0, edit_end_ = 0;
};

Result<Embedding> Embedding::plan(const ElfImage& image, const StartPlan& start) {
  return Planner(image, start).run();
}

bool Embedding::is_path(const elf::Shdr& section) const {
  const elf::Phdr* interp = image_->find_header(elf::kPtInterp);
  return start_->change == StartChange::kPathInSegment && interp != nullptr &&
         section.offset == interp->offset && section.size == interp->filesz;
}

uint64_t Embedding::bound(size_t sites, size_t option_bytes) const {
  constexpr uint64_t kLargestRecord = sizeof(SiteRecord) + 256;  // with its window's bytes
  constexpr uint64_t kDynamicEntries = 3 * (sizeof(EditRecord) + sizeof(uint64_t));
  const uint64_t fixed = sizeof(MetaHeader) + 2 * sizeof(EditRecord) + table_end_ + kDynamicEntries;
  const uint64_t frames = frames_ ? frames_->bound(sites) : 0;
  return slot_at(fixed + sites * kLargestRecord + path_size_ + option_bytes + frames + kPageSize);
}

bool Embedding::add_frames(std::vector<WrittenFrame> stubs, Vaddr trampoline) {
  if (frames_ && !frames_->add(std::move(stubs), trampoline)) frames_.reset();
  return frames_.has_value();
}

uint64_t Embedding::slot_at(uint64_t meta_size) const {
  return align_up(frames_end(meta_size), kPageSize);
}

// Sections keep their alignment: the piece lies as it did, modulo that.
uint64_t Embedding::piece_at(uint64_t meta_size) const {
  return align_up(meta_size, kPieceAlignment) + piece_ % kPieceAlignment;
}

uint64_t Embedding::path_at(uint64_t meta_size) const {
  return align_up(piece_at(meta_size) + piece_size_, kPathAlignment);
}

uint64_t Embedding::frames_at(uint64_t meta_size) const {
  return align_up(path_at(meta_size) + path_size_, kFramesAlignment);
}

uint64_t Embedding::search_at(uint64_t meta_size) const {
  return frames_at(meta_size) + (frames_ ? frames_->table_size() : 0);
}

uint64_t Embedding::frames_end(uint64_t meta_size) const {
  if (!frames_) return path_at(meta_size) + path_size_;
  return search_at(meta_size) + frames_->search_size();
}

std::vector<elf::Phdr> Embedding::headers(const EmbeddedPlaces& places) const {
  std::vector<elf::Phdr> table;
  const auto& old = image_->program_headers();
  size_t behind_loads = 0;
  const auto point = [&](elf::Phdr& header, uint64_t at) {
    header.offset = places.data.value + at;
    header.vaddr = header.paddr = data_.value + at;
  };
  const bool is_new_path = path_size_ != 0 && image_->find_header(elf::kPtInterp) == nullptr;
  const auto add_path = [&](elf::Phdr header) {
    header.type = elf::kPtInterp;
    header.flags = elf::kFlagRead;
    header.filesz = header.memsz = path_size_;
    header.align = 1;
    point(header, path_at(places.meta_size));
    table.push_back(header);
  };
  // gABI: PT_INTERP stands in front of every PT_LOAD, and they ascend by address.
  if (is_new_path) add_path({});
  for (size_t i = 0; i < old.size(); ++i) {
    if (std::find(dropped_.begin(), dropped_.end(), i) != dropped_.end()) continue;
    elf::Phdr header = old[i];
    if (header.type == elf::kPtInterp && path_size_ != 0) {
      add_path(header);
      continue;
    }
    if (is_note(header) && moves(header.offset, header.filesz))
      point(header, piece_at(places.meta_size) + header.offset - piece_);
    if (header.type == elf::kPtGnuEhFrame && frames_) {
      point(header, search_at(places.meta_size));
      header.filesz = header.memsz = frames_->search_size();
    }
    table.push_back(header);
    if (header.type == elf::kPtLoad) behind_loads = table.size();
  }
  elf::Phdr data{elf::kPtLoad, elf::kFlagRead | elf::kFlagWrite, 0, 0, 0, 0, 0, kPageSize};
  point(data, 0);
  data.filesz = data.memsz = slot_at(places.meta_size) + kPageSize;
  elf::Phdr code{elf::kPtLoad, elf::kFlagRead | elf::kFlagExec, 0, 0, 0, 0, 0, kPageSize};
  point(code, data.filesz);
  code.filesz = code.memsz = places.stubs_size;
  const auto where = table.insert(table.begin() + static_cast<std::ptrdiff_t>(behind_loads), data);
  if (places.stubs_size != 0) table.insert(where + 1, code);
  const uint64_t size = table.size() * sizeof(elf::Phdr);
  for (elf::Phdr& header : table) {
    if (header.type == elf::kPtPhdr) header.filesz = header.memsz = size;
    const uint64_t end = sizeof(elf::Ehdr) + size;
    if (holds_headers(header) && header.filesz < end) header.filesz = header.memsz = end;
  }
  return table;
}

std::vector<HeaderEdit> Embedding::edits(const EmbeddedPlaces& places,
                                         const SectionTableBytes& sections) const {
  const auto headers = this->headers(places);
  elf::Ehdr ehdr = image_->header();
  ehdr.phnum = static_cast<uint16_t>(headers.size());
  ehdr.shoff = sections.table.value;
  ehdr.shnum = sections.count;
  ehdr.shstrndx = sections.names;
  std::vector<HeaderEdit> edits{{{0}, EditKind::kElfHeader, bytes_of(ehdr)}};
  std::vector<std::byte> table(table_end_ - sizeof(elf::Ehdr));
  std::memcpy(table.data(), headers.data(),
              std::min(table.size(), headers.size() * sizeof(elf::Phdr)));
  edits.push_back({{sizeof(elf::Ehdr)}, EditKind::kProgramHeader, std::move(table)});
  const elf::Phdr* dynamic = image_->find_header(elf::kPtDynamic);
  const auto table_at = dynamic ? image_->offset_of({dynamic->vaddr}) : std::nullopt;
  if (!table_at || piece_size_ == 0) return edits;
  const uint64_t base = image_->segments().front().vaddr.value;
  for (uint64_t at = table_at->value;; at += sizeof(elf::Dyn)) {
    const auto entry = load<elf::Dyn>(image_->bytes(), at);
    if (!entry || entry->tag == elf::kDtNull) break;
    if (!leads_to_piece(entry->tag) || !moves(entry->value - base, 0)) continue;
    const uint64_t value =
        data_.value + piece_at(places.meta_size) + (entry->value - base - piece_);
    edits.push_back({{at + offsetof(elf::Dyn, value)}, EditKind::kDynamic, bytes_of(value)});
  }
  return edits;
}

std::vector<std::byte> Embedding::piece(const EmbeddedPlaces& places) const {
  const uint64_t from = places.meta_size;
  std::vector<std::byte> bytes(slot_at(from) - from);
  for (const elf::Shdr& section : image_->sections()) {
    const bool has_bytes = (section.flags & elf::kShfAlloc) != 0 && section.size != 0 &&
                           section.type != elf::kShtNobits;
    if (has_bytes && moves(section.offset, section.size) && !is_path(section))
      std::memcpy(bytes.data() + piece_at(from) + (section.offset - piece_) - from,
                  image_->bytes().data() + section.offset, section.size);
  }
  if (path_size_ != 0)
    std::memcpy(bytes.data() + path_at(from) - from, start_->interpreter.data(),
                start_->interpreter.size());
  if (frames_) {
    const auto frames = frames_->build(data_ + frames_at(from), slot(from));
    std::copy(frames.begin(), frames.end(),
              bytes.begin() + static_cast<std::ptrdiff_t>(frames_at(from) - from));
  }
  return bytes;
}

void Embedding::move_sections(const EmbeddedPlaces& places, SectionTable& table) const {
  const auto move = [&](size_t section, uint64_t at, uint64_t size) {
    table.move(section, places.data + at, data_ + at, size);
  };
  const auto& sections = image_->sections();
  for (size_t i = 0; i < sections.size(); ++i) {
    const elf::Shdr& section = sections[i];
    if ((section.flags & elf::kShfAlloc) == 0 || section.size == 0 ||
        section.type == elf::kShtNobits)
      continue;
    if (is_path(section))
      move(i, path_at(places.meta_size), path_size_);
    else if (moves(section.offset, section.size))
      move(i, piece_at(places.meta_size) + section.offset - piece_, section.size);
  }
}

// Not a byte is left between them: GNU strip and objcopy keep what sections hold.
void Embedding::add_sections(const EmbeddedPlaces& places, SectionTable& table) const {
  const auto add = [&](const char* name, uint64_t flags, uint64_t at, uint64_t end,
                       uint64_t alignment = 1) {
    AddedSection section;
    section.name = name;
    section.alignment = alignment;
    section.flags = elf::kShfAlloc | flags;
    section.offset = places.data + at;
    section.address = data_ + at;
    section.size = end - at;
    return table.add(std::move(section));
  };
  const uint64_t meta = places.meta_size;
  add(".sysrewrite.meta", elf::kShfWrite, 0, piece_at(meta));
  const auto& sections = image_->sections();
  const bool has_path = std::any_of(sections.begin(), sections.end(),
                                    [this](const auto& section) { return is_path(section); });
  if (path_size_ != 0 && !has_path) add(".interp", 0, path_at(meta), path_at(meta) + path_size_);
  if (frames_) {
    // Who looks for a section by its name is to find the new one.
    const OldFrames& old = frames_->old();
    if (old.section) table.rename(*old.section, ".sysrewrite.old_eh_frame");
    if (old.search_section) table.rename(*old.search_section, ".sysrewrite.old_eh_frame_hdr");
    add(".eh_frame", 0, frames_at(meta), search_at(meta), kFramesAlignment);
    if (frames_->search_size() != 0)
      add(".eh_frame_hdr", 0, search_at(meta), frames_end(meta), kSearchAlignment);
  }
  add(".sysrewrite.slot", elf::kShfWrite, frames_end(meta), slot_at(meta) + kPageSize);
}

SectionTableBytes Embedding::tables(const EmbeddedPlaces& places, StubSections stubs) const {
  const uint64_t text = slot_at(places.meta_size) + kPageSize;
  if (stubs.stubs) stubs.table.place(*stubs.stubs, places.data + text, data_ + text);
  move_sections(places, stubs.table);
  add_sections(places, stubs.table);
  return stubs.table.build(places.data + (text + places.stubs_size));
}

}  // namespace sysrewrite
