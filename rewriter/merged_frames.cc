#include "rewriter/merged_frames.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <unordered_set>

#include "rewriter/eh_frame.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kSearchHeader = 12;       // bytes: four encodings, .eh_frame, count
constexpr uint64_t kSearchEntry = 8;         // bytes
constexpr uint64_t kCommons = 64;            // bytes: two CIEs at most, and the end mark
constexpr uint64_t kLargestStubFrame = 512;  // bytes; ordinary ones take 32 to 80
constexpr uint64_t kLargestTable = uint64_t{1} << 30;

void append_word(std::vector<std::byte>& out, uint32_t value) {
  const ByteView bytes = as_byte_view(&value, sizeof(value));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

uint32_t distance(Vaddr from, Vaddr to) {
  return static_cast<uint32_t>(to.value - from.value);
}

bool fits_32(int64_t value) {
  return value >= std::numeric_limits<int32_t>::min() &&
         value <= std::numeric_limits<int32_t>::max();
}

std::optional<uint8_t> signed_width(uint8_t encoding) {
  switch (encoding & 0x0f) {
    case 0x0b:
      return uint8_t{4};
    case 0x00:
    case 0x04:
    case 0x0c:
      return uint8_t{8};
    default:
      return std::nullopt;
  }
}

// The one section of that name and address, if it is one in memory with bytes in the file.
std::optional<size_t> find_section(const ElfImage& image, const char* name, Vaddr address) {
  std::optional<size_t> found;
  const auto& sections = image.sections();
  for (size_t i = 0; i < sections.size(); ++i) {
    if (image.section_name(sections[i]) != name) continue;
    const elf::Shdr& section = sections[i];
    const bool usable = section.type != elf::kShtNobits && section.addr == address.value &&
                        (section.flags & elf::kShfAlloc) != 0 &&
                        (section.flags & elf::kShfCompressed) == 0 &&
                        slice(image.bytes(), section.offset, section.size);
    if (found || !usable) return std::nullopt;
    found = i;
  }
  return found;
}

bool has_section(const ElfImage& image, const char* name) {
  const auto& sections = image.sections();
  return std::any_of(sections.begin(), sections.end(),
                     [&](const elf::Shdr& section) { return image.section_name(section) == name; });
}

// True where the program names an address, which would have to move along, or cannot be read.
// Source: DWARF 5, 7.24, table 7.29; LSB Core 5.0, 10.5.2.
bool names_address(ByteView program) {
  DwarfCursor in(program, {0});
  while (in.good() && !in.at_end()) {
    const auto code = in.read<uint8_t>();
    const bool has_low_operand = code >= 0x40;
    if (has_low_operand) {
      if ((code & 0xc0) == 0x80) in.read_uleb();  // offset
      continue;
    }
    switch (code) {
      case 0x00:
      case 0x0a:
      case 0x0b:  // nop, remember, restore
        break;
      case 0x02:  // advances
      case 0x03:
      case 0x04:
        in.skip(uint64_t{1} << (code - 2));
        break;
      case 0x06:
      case 0x07:
      case 0x08:
      case 0x0d:
      case 0x0e:
      case 0x13:
      case 0x2e:
        in.read_uleb();
        break;
      case 0x05:
      case 0x09:
      case 0x0c:
      case 0x11:
      case 0x12:
      case 0x14:
      case 0x15:
      case 0x2f:
        in.read_uleb();
        in.read_uleb();
        break;
      case 0x10:
      case 0x16:  // of a register, by an expression
        in.read_uleb();
        [[fallthrough]];
      case 0x0f:
        in.skip(in.read_uleb());
        break;
      default:  // set_loc among them
        return true;
    }
  }
  return !in.good();
}

}  // namespace

class MergedFrames::Planner {
 public:
  Planner(const ElfImage& image, Vaddr low, Vaddr high) : image_(image), low_(low), high_(high) {}

  std::optional<MergedFrames> run() {
    if (!find_old()) return std::nullopt;
    if (!out_.old_.section) return std::move(out_);
    bool movable = true;
    const auto end =
        for_each_frame(out_.old_.table, FrameStyle::kEhFrame,
                       [this, &movable](const FrameCommon& common, const FrameDescription& frame) {
                         movable = movable && add(common, frame);
                       });
    if (!movable || !end.whole || end.entries_size % 4 != 0 || end.entries_size > kLargestTable)
      return std::nullopt;
    out_.old_.entries_size = end.entries_size;
    std::stable_sort(
        out_.places_.begin(), out_.places_.end(),
        [](const FrameEntryPlace& a, const FrameEntryPlace& b) { return a.start < b.start; });
    return std::move(out_);
  }

 private:
  // What the unwinder finds must be what the section headers name.
  bool find_old() {
    OldFrames& old = out_.old_;
    const elf::Phdr* search = image_.find_header(elf::kPtGnuEhFrame);
    if (search != nullptr) {
      old.search_section = find_section(image_, ".eh_frame_hdr", {search->vaddr});
      if (!old.search_section) return false;
    } else if (has_section(image_, ".eh_frame_hdr")) {
      return false;
    }
    const auto table = find_frame_table(image_);
    if (!table) return search == nullptr && !has_section(image_, ".eh_frame");
    old.section = find_section(image_, ".eh_frame", table->address);
    if (!old.section) return false;
    const elf::Shdr& section = image_.sections()[*old.section];
    old.table = {*slice(image_.bytes(), section.offset, section.size), {section.addr}};
    // What can be written to may be relocated.
    return (section.flags & elf::kShfWrite) == 0 && !image_.dynamic(elf::kDtTextrel);
  }

  bool add(const FrameCommon& common, const FrameDescription& frame) {
    if (commons_.insert(common.entry.value).second) {
      if (common.personality && !add(*common.personality)) return false;
      if (names_address(common.program)) return false;
    }
    if (names_address(frame.program)) return false;
    if (!add({frame.start_at, frame.start, common.pointer_encoding})) return false;
    if (frame.lsda && !add(*frame.lsda)) return false;
    out_.places_.push_back({frame.start, frame.entry.value - out_.old_.table.address.value});
    return fits_32(frame.start - low_) && fits_32(frame.start - high_);
  }

  bool add(const FramePointer& pointer) {
    const uint8_t base = pointer.encoding & 0x70;
    // An absolute address in what can be loaded anywhere is one that is relocated.
    if (base == 0) return image_.header().type == elf::kTypeExec;
    const auto width = signed_width(pointer.encoding);
    if (base != kPointerPcRel || !width) return false;
    const uint64_t offset = pointer.at.value - out_.old_.table.address.value;
    if (*width == 4) {
      // From wherever in the span this pointer comes to lie.
      if (!fits_32(pointer.target - low_) || !fits_32(pointer.target - high_)) return false;
    }
    out_.pointers_.push_back({offset, *width});
    return true;
  }

  const ElfImage& image_;
  const Vaddr low_, high_;
  MergedFrames out_;
  std::unordered_set<uint64_t> commons_;  // addresses of the CIEs seen
};

std::optional<MergedFrames> MergedFrames::plan(const ElfImage& image, Vaddr low, Vaddr high) {
  return Planner(image, low, high).run();
}

uint64_t MergedFrames::bound(size_t stubs) const {
  const uint64_t entries = places_.size() + stubs;
  return old_.table.bytes.size() + kCommons + stubs * kLargestStubFrame + kSearchHeader +
         entries * kSearchEntry;
}

bool MergedFrames::add(std::vector<WrittenFrame> stubs, Vaddr trampoline) {
  if (stubs.empty()) return false;
  stubs_ = std::move(stubs);
  trampoline_ = trampoline;
  // Their size does not depend on where they lie.
  const auto written = write_frames(stubs_, FrameStyle::kEhFrame, 0, trampoline);
  if (!written) return false;
  table_size_ = old_.entries_size + written->bytes.size();
  return written->bytes.size() <= kCommons + stubs_.size() * kLargestStubFrame;
}

uint64_t MergedFrames::search_size() const {
  if (!old_.search_section) return 0;
  return kSearchHeader + (places_.size() + stubs_.size()) * kSearchEntry;
}

std::vector<std::byte> MergedFrames::build(Vaddr at, Vaddr trampoline) const {
  const ByteView entries = old_.table.bytes.first(old_.entries_size);
  std::vector<std::byte> out(entries.begin(), entries.end());
  const uint64_t back = old_.table.address.value - at.value;
  for (const Pointer& pointer : pointers_) {
    const MutableByteView bytes(out);
    const bool stored =
        pointer.width == 4
            ? store(bytes, pointer.offset,
                    static_cast<uint32_t>(*load<uint32_t>(out, pointer.offset) + back))
            : store(bytes, pointer.offset, *load<uint64_t>(out, pointer.offset) + back);
    if (!stored) std::abort();
  }
  std::vector<WrittenFrame> stubs = stubs_;
  for (WrittenFrame& stub : stubs) stub.start = trampoline + (stub.start.value - trampoline_.value);
  const auto written = write_frames(stubs, FrameStyle::kEhFrame, 0, at + entries.size());
  if (!written || entries.size() + written->bytes.size() != table_size_) std::abort();
  out.insert(out.end(), written->bytes.begin(), written->bytes.end());
  if (!old_.search_section) return out;

  std::vector<FrameEntryPlace> places = places_;
  for (const FrameEntryPlace& place : written->places)
    places.push_back({place.start, entries.size() + place.offset});
  std::stable_sort(
      places.begin(), places.end(),
      [](const FrameEntryPlace& a, const FrameEntryPlace& b) { return a.start < b.start; });
  const Vaddr search = at + out.size();
  append_word(out, 0x3b031b01);  // version 1; pc-relative, 4 bytes, relative to here
  append_word(out, distance(search + 4, at));
  append_word(out, static_cast<uint32_t>(places.size()));
  for (const FrameEntryPlace& place : places) {
    append_word(out, distance(search, place.start));
    append_word(out, distance(search, at + place.offset));
  }
  return out;
}

}  // namespace sysrewrite
