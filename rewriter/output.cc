#include "rewriter/output.h"

#include <algorithm>
#include <cstdlib>

#include "rewriter/stub_writer.h"
#include "trampoline/checksum.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kMetaAlignment = 16, kSectionsAlignment = 8;

// Reads the output before it exists: the input, seen through the patches and the tail.
class OutputReader {
 public:
  OutputReader(ByteView input, const OutputBytes& output) : input_(input), output_(output) {}

  std::vector<std::byte> operator()(uint64_t offset, uint64_t size) const {
    std::vector<std::byte> bytes(size);
    overlay(bytes, offset, 0, input_);
    overlay(bytes, offset, output_.tail_offset.value, output_.tail);
    const auto& patches = output_.patches;
    auto patch = std::partition_point(patches.begin(), patches.end(), [offset](const BytePatch& p) {
      return p.offset.value + p.bytes.size() <= offset;
    });
    for (; patch != patches.end() && patch->offset.value < offset + size; ++patch)
      overlay(bytes, offset, patch->offset.value, patch->bytes);
    return bytes;
  }

 private:
  // Copies what `part`, which starts at `start`, holds of [offset, offset + bytes.size()).
  static void overlay(std::vector<std::byte>& bytes, uint64_t offset, uint64_t start,
                      ByteView part) {
    const uint64_t from = std::max(offset, start);
    const uint64_t to = std::min(offset + bytes.size(), start + part.size());
    if (from < to)
      std::memcpy(bytes.data() + (from - offset), part.data() + (from - start), to - from);
  }

  ByteView input_;
  const OutputBytes& output_;
};

// Grows the tables of the metadata while the patches are made.
class Assembler {
 public:
  Assembler(const Decisions& decided, const Layout& layout)
      : image_(decided.image),
        sites_(decided.sites),
        layout_(layout),
        plan_(decided.plan),
        start_(decided.start),
        sections_(decided.sections),
        options_(decided.options),
        embedding_(decided.embedding),
        base_(first_code(decided.image)) {}

  OutputBytes assemble() {
    write_sites();
    place_parts();
    write_edits();
    write_tail();
    std::sort(out_.patches.begin(), out_.patches.end(),
              [](const BytePatch& a, const BytePatch& b) { return a.offset < b.offset; });
    seal();
    return std::move(out_);
  }

  uint64_t metadata_size() {
    write_sites();
    place_parts();
    return meta_.meta_size;
  }

 private:
  bool litebox() const { return options_.format == Format::kLitebox; }

  static Vaddr first_code(const ElfImage& image) {
    for (const Segment& segment : image.segments())
      if (segment.executable()) return segment.vaddr;
    return image.lowest();
  }

  void patch(FileOffset offset, std::vector<std::byte> bytes) {
    out_.patches.push_back({offset, std::move(bytes)});
  }

  void patch_code(Vaddr address, std::vector<std::byte> bytes) {
    const auto offset = image_.offset_of(address, bytes.size());
    if (!offset) std::abort();
    patch(*offset, std::move(bytes));
  }

  uint32_t to_blob(ByteView bytes) {
    const auto offset = static_cast<uint32_t>(blob_.size());
    blob_.insert(blob_.end(), bytes.begin(), bytes.end());
    return offset;
  }

  uint32_t from_base(Vaddr address) const { return static_cast<uint32_t>(address - base_); }

  void write_sites() {
    stubs_.assign(layout_.size, std::byte{0});
    if (layout_.size != 0) {
      const auto first = static_cast<std::ptrdiff_t>(layout_.first.value);
      std::fill(stubs_.begin() + first, stubs_.end(), std::byte{0xcc});
    }
    auto next = layout_.stubs.begin();
    for (const PlannedSite& planned : plan_.sites) {
      if (planned.tier() == Tier::kNative) {
        SiteRecord record = describe(planned);
        record.blob = static_cast<uint32_t>(blob_.size());
        records_.push_back(record);
        continue;
      }
      write_site(planned, *next++);
    }
  }

  SiteRecord describe(const PlannedSite& planned) const {
    SiteRecord record{};
    record.site = from_base(planned.site->instruction.address);
    record.springboard = kNoSpringboard;
    record.tier = planned.tier();
    record.reason = static_cast<uint8_t>(planned.reason);
    record.window = planned.window_size();
    if (record.window != 0)
      record.before = static_cast<uint8_t>(planned.site->instruction.address - planned.window());
    return record;
  }

  void write_site(const PlannedSite& planned, const StubPlace& place) {
    const StubBytes stub = write_stub(image_, place, layout_.trampoline, options_);
    std::copy(stub.bytes.begin(), stub.bytes.end(),
              stubs_.begin() + static_cast<std::ptrdiff_t>(place.offset.value));
    SiteRecord record = describe(planned);
    record.stub = static_cast<uint32_t>(place.offset.value);
    record.stub_size = place.size;
    record.enter = place.enter;
    record.displaced = static_cast<uint8_t>(stub.displaced.size());
    record.blob = to_blob(image_.bytes_from(planned.window())->first(record.window));
    patch_code(planned.window(), write_window(place, layout_.trampoline));
    if (const auto* board = std::get_if<SpringboardJump>(&planned.fate)) {
      record.springboard = from_base(board->springboard);
      to_blob(image_.bytes_from(board->springboard)->first(kSpringboardSize));
      patch_code(board->springboard,
                 write_springboard(board->springboard, place, layout_.trampoline));
    }
    for (const DisplacedRecord& displaced : stub.displaced)
      to_blob(as_byte_view(&displaced, sizeof(displaced)));
    records_.push_back(record);
  }

  // The order of layout.h; everything in front of the edits' blob is known by now, and the edits
  // themselves have a known size.
  void place_parts() {
    edits_ = edits({0}, {0});
    if (sections_ && embedding_ == nullptr) {
      const auto more = section_edits({});
      edits_.insert(edits_.end(), more.begin(), more.end());
    }
    uint64_t edit_blob = 0;
    for (const HeaderEdit& edit : edits_) edit_blob += edit.bytes.size();
    std::string options;
    for (const std::string& option : options_.loader_options) options += option + '\0';
    options_bytes_ = options;

    uint64_t at = sizeof(MetaHeader);
    const auto place = [&at](MetaRange& range, uint64_t count, uint64_t element, uint64_t align) {
      at = align_up(at, align);
      range = {static_cast<uint32_t>(at), static_cast<uint32_t>(count)};
      at += count * element;
    };
    place(meta_.sites, records_.size(), sizeof(SiteRecord), 8);
    place(meta_.edits, edits_.size(), sizeof(EditRecord), 8);
    place(meta_.blob, blob_.size() + edit_blob, 1, 1);
    place(meta_.phdrs, start_.headers.size(), sizeof(elf::Phdr), 8);
    place(meta_.interp, start_.interpreter.empty() ? 0 : start_.interpreter.size() + 1, 1, 1);
    place(meta_.options, options_bytes_.size(), 1, 1);
    meta_.meta_size = static_cast<uint32_t>(align_up(at, kMetaAlignment));

    uint64_t input_end = image_.bytes().size();
    const bool sections_in_front = sections_ && embedding_ == nullptr;
    if (sections_in_front) {
      out_.tail_offset = {align_up(input_end, kSectionsAlignment)};
      input_end = out_.tail_offset.value + sections_->size;
    }
    place_behind(input_end);
    if (!sections_in_front)
      out_.tail_offset = {litebox() || embedding_ ? meta_offset_ : trampoline_offset_};
  }

  void place_behind(uint64_t input_end) {
    if (embedding_ != nullptr) {
      meta_offset_ = align_up(input_end, kPageSize);
      trampoline_offset_ = meta_offset_ + embedding_->slot_at(meta_.meta_size);
    } else if (litebox()) {
      meta_offset_ = align_up(input_end, kMetaAlignment);
      const uint64_t locator_end = meta_offset_ + meta_.meta_size + sizeof(MetaLocator);
      trampoline_offset_ = layout_.size == 0 ? locator_end : align_up(locator_end, kPageSize);
    } else {
      trampoline_offset_ = align_up(input_end, layout_.size == 0 ? kMetaAlignment : kPageSize);
      meta_offset_ = trampoline_offset_ + layout_.size;
    }
  }

  EmbeddedPlaces embedded_places() const {
    return {out_.tail_offset, meta_.meta_size, layout_.size == 0 ? 0 : layout_.size - kPageSize};
  }

  std::vector<HeaderEdit> edits(FileOffset path, FileOffset table) const {
    return embedding_ != nullptr ? embedding_->edits(embedded_places(), built_)
                                 : header_edits(image_, start_, path, table);
  }

  void write_edits() {
    const FileOffset path{meta_offset_ + meta_.interp.offset};
    const FileOffset table{meta_offset_ + meta_.phdrs.offset};
    build_sections();
    edits_ = edits(path, table);
    if (sections_ && embedding_ == nullptr)
      for (HeaderEdit& edit : section_edits(built_)) edits_.push_back(std::move(edit));
    for (HeaderEdit& edit : edits_) {
      EditRecord record{};
      record.offset = edit.offset.value;
      record.size = static_cast<uint32_t>(edit.bytes.size());
      record.kind = edit.kind;
      record.blob = to_blob(image_.bytes().subspan(edit.offset.value, edit.bytes.size()));
      edit_records_.push_back(record);
      patch(edit.offset, std::move(edit.bytes));
    }
    if (blob_.size() != meta_.blob.count) std::abort();
  }

  void build_sections() {
    if (embedding_ != nullptr) {
      built_ = embedding_->tables(embedded_places(), *sections_);
    } else if (sections_) {
      SectionTable table = sections_->table;
      const uint64_t first = layout_.first.value;
      table.place(*sections_->stubs, {trampoline_offset_ + first}, layout_.trampoline + first);
      built_ = table.build(out_.tail_offset);
    }
  }

  uint32_t flags() const {
    uint32_t flags = 0;
    if (sections_ && sections_->named) flags |= kMetaSymbols;
    if (options_.stub == StubKind::kPlain) flags |= kMetaPlainStub;
    if (options_.native_tail) flags |= kMetaNativeTail;
    if (litebox()) flags |= kMetaLitebox;
    if (embedding_ != nullptr) flags |= kMetaSegment;
    if (start_.change == StartChange::kHeadersAtEnd) flags |= kMetaHeadersMoved;
    if (start_.change == StartChange::kPathInPlace) flags |= kMetaInterpInPlace;
    if (start_.change == StartChange::kPathAtEnd) flags |= kMetaInterpMoved;
    if (start_.change == StartChange::kNoteAtEnd) flags |= kMetaInterpMoved;
    if (start_.change == StartChange::kPathInSegment) flags |= kMetaInterpSegment;
    if (image_.kind() == ImageKind::kInterpreter) flags |= kMetaInterpreter;
    return flags;
  }

  void fill_header() {
    std::memcpy(meta_.magic, kMetaMagic, sizeof(kMetaMagic));
    meta_.input_size = image_.bytes().size();
    meta_.base_vaddr = base_.value;
    meta_.entry_vaddr = image_.header().entry;
    meta_.phdr_vaddr = start_.input_headers.value;
    meta_.flags = flags();
    meta_.input_phnum = image_.header().phnum;
    const auto count = [this](CandidateClass kind) {
      return static_cast<uint32_t>(sites_.count(kind));
    };
    meta_.candidate_count = static_cast<uint32_t>(sites_.all.size());
    meta_.instruction_count = count(CandidateClass::kInstruction);
    meta_.inside_count = count(CandidateClass::kInside);
    meta_.data_count = count(CandidateClass::kData);
    meta_.uncertain_count = count(CandidateClass::kUncertain);
    const uint64_t sum = uint64_t{meta_.instruction_count} + meta_.inside_count + meta_.data_count +
                         meta_.uncertain_count;
    if (sum != meta_.candidate_count || records_.size() != meta_.instruction_count) std::abort();
  }

  std::vector<std::byte> metadata() {
    fill_header();
    std::vector<std::byte> bytes(meta_.meta_size);
    const auto put = [&bytes](uint64_t at, const void* data, size_t size) {
      if (!range_fits(at, size, bytes.size())) std::abort();
      if (size != 0) std::memcpy(bytes.data() + at, data, size);
    };
    put(0, &meta_, sizeof(meta_));
    put(meta_.sites.offset, records_.data(), records_.size() * sizeof(SiteRecord));
    put(meta_.edits.offset, edit_records_.data(), edit_records_.size() * sizeof(EditRecord));
    put(meta_.blob.offset, blob_.data(), blob_.size());
    const auto headers = finished_headers(start_, {meta_offset_ + meta_.interp.offset},
                                          {meta_offset_ + meta_.phdrs.offset});
    put(meta_.phdrs.offset, headers.data(), headers.size() * sizeof(elf::Phdr));
    if (meta_.interp.count != 0)
      put(meta_.interp.offset, start_.interpreter.c_str(), meta_.interp.count);
    put(meta_.options.offset, options_bytes_.data(), options_bytes_.size());
    return bytes;
  }

  // The trailer is in the slot page, and behind the stubs stand the sections.
  void write_segments() {
    const std::vector<std::byte> meta = metadata();
    auto& tail = out_.tail;
    const auto append = [&tail](ByteView bytes) {
      tail.insert(tail.end(), bytes.begin(), bytes.end());
    };
    append(meta);
    append(embedding_->piece(embedded_places()));
    if (stubs_.empty()) stubs_.resize(kPageSize);
    SegmentLocator locator{};
    std::memcpy(locator.magic, kMetaMagic, sizeof(kMetaMagic));
    locator.meta_vaddr = embedding_->data().value;
    Checksum whole;
    whole.add(image_.bytes());
    locator.input_digest = whole.digest();
    Trailer trailer{};
    std::memcpy(trailer.magic, kSegmentMagic, sizeof(kSegmentMagic));
    trailer.size = layout_.size;
    trailer.vaddr = layout_.size == 0 ? 0 : layout_.trampoline.value;
    const MutableByteView page(stubs_);
    if (!store(page, kPageSize - kSegmentEndSize, locator) ||
        !store(page, kPageSize - sizeof(trailer), trailer))
      std::abort();
    append(stubs_);
    append(built_.bytes);
  }

  void write_tail() {
    if (embedding_ != nullptr) return write_segments();
    const std::vector<std::byte> meta = metadata();
    auto& tail = out_.tail;
    const auto append = [&tail](ByteView bytes) {
      tail.insert(tail.end(), bytes.begin(), bytes.end());
    };
    Trailer trailer{};
    std::memcpy(trailer.magic, litebox() ? kLiteboxMagic : kTrailerMagic, 8);
    trailer.size = layout_.size;
    trailer.vaddr = layout_.size == 0 ? 0 : layout_.trampoline.value;
    trailer.offset = layout_.size == 0 && litebox() ? 0 : trampoline_offset_;
    if (sections_) {
      append(built_.bytes);
      tail.resize((litebox() ? meta_offset_ : trampoline_offset_) - out_.tail_offset.value);
    }
    if (litebox()) {
      append(meta);
      MetaLocator locator{};
      std::memcpy(locator.magic, kMetaMagic, 8);
      locator.meta_offset = meta_offset_;
      tail.resize(trampoline_offset_ - out_.tail_offset.value - sizeof(locator));
      append(as_byte_view(&locator, sizeof(locator)));
      append(stubs_);
    } else {
      append(stubs_);
      append(meta);
    }
    append(as_byte_view(&trailer, sizeof(trailer)));
  }

  // The order of checksum.h, over the parts where they are: the output is never whole in memory.
  void seal() {
    const OutputReader read(image_.bytes(), out_);
    const auto header = *load<elf::Ehdr>(read(0, sizeof(elf::Ehdr)), 0);
    Checksum sum;
    if (embedding_ == nullptr) {
      sum.add(read(0, sizeof(elf::Ehdr)));
      sum.add(read(header.phoff, header.phnum * sizeof(elf::Phdr)));
    }
    for (const SiteRecord& record : records_) {
      const Vaddr window = base_ + record.site - record.before;
      sum.add(read(image_.offset_of(window)->value, record.window));
      if (record.springboard == kNoSpringboard) continue;
      sum.add(read(image_.offset_of(base_ + record.springboard)->value, kSpringboardSize));
    }
    if (embedding_ == nullptr)
      for (const EditRecord& edit : edit_records_) sum.add(read(edit.offset, edit.size));
    sum.add(stubs_);
    sum.add(read(meta_offset_, meta_.meta_size));
    if (embedding_ == nullptr) sum.add(ByteView(out_.tail).last(sizeof(Trailer)));
    const uint64_t meta_in_tail = meta_offset_ - out_.tail_offset.value;
    const uint64_t digest = sum.digest();
    if (!store(MutableByteView(out_.tail), meta_in_tail + offsetof(MetaHeader, checksum), digest))
      std::abort();
  }

  const ElfImage& image_;
  const Sites& sites_;
  const Layout& layout_;
  const Plan& plan_;
  const StartPlan& start_;
  const std::optional<StubSections>& sections_;
  const Options& options_;
  const Embedding* const embedding_;
  const Vaddr base_;

  OutputBytes out_;
  SectionTableBytes built_;
  std::vector<std::byte> stubs_;
  std::vector<SiteRecord> records_;
  std::vector<HeaderEdit> edits_;
  std::vector<EditRecord> edit_records_;
  std::vector<std::byte> blob_;
  std::string options_bytes_;
  MetaHeader meta_{};
  uint64_t meta_offset_ = 0;
  uint64_t trampoline_offset_ = 0;
};

}  // namespace

OutputBytes assemble(const Decisions& decided, const Layout& layout) {
  return Assembler(decided, layout).assemble();
}

uint64_t metadata_size(const Decisions& decided, const Layout& layout) {
  return Assembler(decided, layout).metadata_size();
}

std::vector<std::byte> materialize(ByteView input, const OutputBytes& output) {
  std::vector<std::byte> whole(output.tail_offset.value + output.tail.size());
  const size_t kept = std::min<size_t>(input.size(), output.tail_offset.value);
  if (kept != 0) std::memcpy(whole.data(), input.data(), kept);
  for (const BytePatch& patch : output.patches)
    std::copy(patch.bytes.begin(), patch.bytes.end(),
              whole.begin() + static_cast<std::ptrdiff_t>(patch.offset.value));
  std::copy(output.tail.begin(), output.tail.end(),
            whole.begin() + static_cast<std::ptrdiff_t>(output.tail_offset.value));
  return whole;
}

}  // namespace sysrewrite
