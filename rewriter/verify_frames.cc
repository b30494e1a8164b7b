#include <algorithm>

#include "rewriter/call_frames.h"
#include "rewriter/dwarf_cursor.h"
#include "rewriter/frame_writer.h"
#include "rewriter/verify_symbols.h"
#include "trampoline/stub.h"

namespace sysrewrite {

namespace {

// By .eh_frame_hdr: version 1, an encoding, two more bytes, the encoded address.
std::optional<Vaddr> start_of_eh(const OriginalImage& original) {
  const elf::Phdr* header = original.find_header(elf::kPtGnuEhFrame);
  if (header == nullptr) return std::nullopt;
  const ByteView bytes = original.bytes_from({header->vaddr});
  if (bytes.size() < 8 || bytes[0] != std::byte{1}) return std::nullopt;
  DwarfCursor in(bytes, {header->vaddr});
  in.skip(4);
  const Vaddr start{in.read_encoded(std::to_integer<uint8_t>(bytes[1]), true)};
  if (!in.good() || original.bytes_from(start).empty()) return std::nullopt;
  return start;
}

// The original's tables, found anew.
struct Tables {
  CallFrames eh, debug;

  explicit Tables(const OriginalImage& original) : eh(original_call_frames(original)) {
    const std::vector<elf::Shdr> sections = original_sections(original);
    for (const elf::Shdr& section : sections) {
      if (section.type != elf::kShtProgbits || (section.flags & elf::kShfCompressed) != 0 ||
          original_name(original, sections, section) != ".debug_frame")
        continue;
      debug = CallFrames::read(original_bytes(original, section), {0}, FrameStyle::kDebugFrame);
      break;
    }
  }

  const CallFrame* covering(Vaddr address) const {
    const CallFrame* frame = eh.covering(address);
    return frame != nullptr ? frame : debug.covering(address);
  }
};

// What an instruction of the stub is to the program.
struct Step {
  uint64_t length;
  Vaddr program;       // the rules of this address hold in front of it
  bool below_redzone;  // with rsp that much lower
};

// Every instruction of a stub, in order.
std::vector<Step> steps_of(const Evidenced& in, const SiteReading& site) {
  const uint32_t flags = in.file.meta().flags;
  const bool redzone = (flags & kMetaPlainStub) == 0, tail = (flags & kMetaNativeTail) != 0;
  const Vaddr call = site.syscall.address, done = site.syscall.end();
  std::vector<Step> steps;
  for (const Instruction& copy : site.before) steps.push_back({copy.length, copy.address, false});
  if (redzone) steps.push_back({5, call, false});  // lea -0x80(%rsp), %rsp
  steps.push_back({7, call, redzone});             // lea resume(%rip), %rcx
  if (redzone) steps.push_back({7, call, true});   // lea enter(%rip), %r11
  steps.push_back({6, call, redzone});             // jmp *slot(%rip)
  if (tail) {
    steps.push_back({2, done, false});              // resume: jmp fix
    if (redzone) steps.push_back({8, call, true});  // tail: lea 0x80(%rsp), %rsp
    steps.push_back({2, call, false});              // syscall
  }
  steps.push_back({7, done, false});  // fix: lea after_syscall(%rip), %rcx
  for (const Instruction& copy : site.behind) steps.push_back({copy.length, copy.address, false});
  steps.push_back({5, site.end, false});  // jmp
  return steps;
}

std::optional<WrittenFrame> frame_of(const Evidenced& in, const SiteReading& site,
                                     const CallFrame& frame, FrameEvaluator& evaluator) {
  std::vector<Vaddr> addresses;
  const std::vector<Step> steps = steps_of(in, site);
  for (const Step& step : steps) {
    if (!frame.holds(step.program)) return std::nullopt;
    addresses.push_back(step.program);
  }
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  const auto rows = evaluator.rows_at(frame, addresses);
  if (!rows) return std::nullopt;
  WrittenFrame out{site.stub, site.record.stub_size, frame.common.signal_frame, {}};
  uint32_t at = 0;
  for (const Step& step : steps) {
    const auto place = std::lower_bound(addresses.begin(), addresses.end(), step.program);
    const FrameRow& row = (*rows)[static_cast<size_t>(place - addresses.begin())];
    const auto moved = step.below_redzone ? row.with_lower_stack(SYSREWRITE_RED_ZONE) : row;
    if (!moved) return std::nullopt;
    out.points.push_back({at, *moved});
    at += static_cast<uint32_t>(step.length);
  }
  return can_write(out) ? std::optional(std::move(out)) : std::nullopt;
}

std::vector<WrittenFrame> frames_of(const Evidenced& in, const std::vector<SiteReading>& sites) {
  const Tables tables(in.original);
  FrameEvaluator evaluator;
  std::vector<WrittenFrame> frames;
  for (const SiteReading& site : sites) {
    if (site.record.tier == Tier::kNative) continue;
    const CallFrame* frame = tables.covering(site.syscall.address);
    if (frame == nullptr) continue;
    if (auto described = frame_of(in, site, *frame, evaluator))
      frames.push_back(std::move(*described));
  }
  return frames;
}

// A table whose entries say from another place what they said.
class MovedTable {
 public:
  MovedTable(const FrameTable& old, Vaddr now) : old_(old), now_(now) {}

  // False where an entry cannot be read or a pointer not be written.
  bool move() {
    bytes_.assign(old_.bytes.begin(), old_.bytes.end());
    const auto end =
        for_each_frame(old_, FrameStyle::kEhFrame,
                       [this](const FrameCommon& common, const FrameDescription& frame) {
                         if (common.personality) write(*common.personality);
                         write({frame.start_at, frame.start, common.pointer_encoding});
                         if (frame.lsda) write(*frame.lsda);
                         places_.push_back({frame.start, frame.entry.value - old_.address.value});
                       });
    bytes_.resize(std::min<uint64_t>(end.entries_size, bytes_.size()));
    return good_ && end.whole;
  }

  std::vector<std::byte>& bytes() { return bytes_; }
  std::vector<FrameEntryPlace>& places() { return places_; }

 private:
  // Absolute pointers say the same anywhere.
  void write(const FramePointer& pointer) {
    if ((pointer.encoding & 0x70) != kPointerPcRel) return;
    const uint64_t offset = pointer.at.value - old_.address.value;
    const auto from_here = static_cast<uint64_t>(pointer.target - (now_ + offset));
    const MutableByteView bytes(bytes_);
    const bool small = (pointer.encoding & 0x0f) == 0x0b;
    const bool stored = small ? store(bytes, offset, static_cast<uint32_t>(from_here))
                              : store(bytes, offset, from_here);
    const auto as_small = static_cast<int64_t>(static_cast<int32_t>(from_here));
    good_ = good_ && stored && (!small || as_small == static_cast<int64_t>(from_here));
  }

  FrameTable old_;
  Vaddr now_;
  std::vector<std::byte> bytes_;
  std::vector<FrameEntryPlace> places_;
  bool good_ = true;
};

// Source: LSB Core 5.0, 10.7: version 1; encodings: pc-relative, 4 bytes, from this table's start.
std::vector<std::byte> search_table(std::vector<FrameEntryPlace> places, Vaddr table,
                                    Vaddr address) {
  std::stable_sort(places.begin(), places.end(),
                   [](const auto& a, const auto& b) { return a.start < b.start; });
  std::vector<uint32_t> words{0x3b031b01, static_cast<uint32_t>(table - (address + 4)),
                              static_cast<uint32_t>(places.size())};
  for (const FrameEntryPlace& place : places) {
    words.push_back(static_cast<uint32_t>(place.start - address));
    words.push_back(static_cast<uint32_t>((table + place.offset) - address));
  }
  const ByteView bytes = as_byte_view(words.data(), words.size() * sizeof(uint32_t));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

CallFrames original_call_frames(const OriginalImage& original) {
  if (const auto start = start_of_eh(original))
    return CallFrames::read(original.bytes_from(*start), *start, FrameStyle::kEhFrame);
  const std::vector<elf::Shdr> sections = original_sections(original);
  for (const elf::Shdr& section : sections)
    if (section.type != elf::kShtNobits &&
        original_name(original, sections, section) == ".eh_frame" &&
        slice(original.bytes(), section.offset, section.size))
      return CallFrames::read(original_bytes(original, section), {section.addr},
                              FrameStyle::kEhFrame);
  return {};
}

std::vector<std::byte> expected_frames(const Evidenced& in, const std::vector<SiteReading>& sites,
                                       uint64_t offset) {
  const std::vector<WrittenFrame> frames = frames_of(in, sites);
  if (frames.empty()) return {};
  return write_frames(frames, FrameStyle::kDebugFrame, offset, {0})->bytes;
}

UnwindTables expected_unwind_tables(const Evidenced& in, const std::vector<SiteReading>& sites,
                                    const std::optional<elf::Shdr>& old, Vaddr address,
                                    bool with_search) {
  const std::vector<WrittenFrame> frames = frames_of(in, sites);
  FrameTable table;
  if (old) table = {original_bytes(in.original, *old), {old->addr}};
  MovedTable moved(table, address);
  if (frames.empty() || !moved.move()) return {};
  UnwindTables out;
  out.table = std::move(moved.bytes());
  const uint64_t before = out.table.size();
  const auto stubs = write_frames(frames, FrameStyle::kEhFrame, 0, address + before);
  if (!stubs) return {};
  out.table.insert(out.table.end(), stubs->bytes.begin(), stubs->bytes.end());
  if (!with_search) return out;
  std::vector<FrameEntryPlace> places = std::move(moved.places());
  for (const FrameEntryPlace& place : stubs->places)
    places.push_back({place.start, before + place.offset});
  out.search = search_table(std::move(places), address, address + out.table.size());
  return out;
}

}  // namespace sysrewrite
