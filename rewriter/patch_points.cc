#include "rewriter/patch_points.h"

#include <algorithm>
#include <cstring>

#include "rewriter/decoder.h"
#include "rewriter/relocations.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kCallSize = 5;
constexpr uint64_t kSledSize = 11;
constexpr uint64_t kMostNops = 256;  // bytes behind a patchable entry that are looked at

// One entry of xray_instr_map, version 2: both addresses are relative to where they stand.
struct SledEntry {
  uint64_t address;
  uint64_t function;
  uint8_t kind, always_instrument, version;
  uint8_t padding[13];
};
static_assert(sizeof(SledEntry) == 32);

// Source: linux, include/uapi/linux/rseq.h, struct rseq_cs.
struct SequenceEntry {
  uint32_t version, flags;
  uint64_t start, length, abort;
};
static_assert(sizeof(SequenceEntry) == 32);
constexpr uint64_t kMostSequence = 65536;  // bytes: nearly all are a few instructions

class PatchPoints {
 public:
  PatchPoints(const ElfImage& image, const RangeSet& ranges)
      : image_(image), ranges_(ranges), nops_budget_(image.bytes().size()) {
    for (const elf::Shdr& section : image.sections())
      if (!base_of_probes_ && image.section_name(section) == ".stapsdt.base")
        base_of_probes_ = section.addr;
  }

  std::vector<uint64_t> find() {
    for (const elf::Shdr& section : image_.sections())
      if (const auto kind = patch_list_named(image_.section_name(section))) read({*kind, section});
    std::sort(written_.begin(), written_.end(),
              [](const List& a, const List& b) { return a.section.addr < b.section.addr; });
    if (!written_.empty())
      for_each_relocation(image_, [this](const Relocation& relocation) { apply(relocation); });
    return points_in_ranges();
  }

 private:
  struct List {
    PatchList kind;
    elf::Shdr section;
  };

  // Where entries of each kind hold an address, and how far apart they are.
  struct Shape {
    uint64_t entry_size, offset;
  };
  static Shape shape_of(PatchList kind) {
    if (kind == PatchList::kSleds) return {sizeof(SledEntry), 0};
    if (kind == PatchList::kSequences)
      return {sizeof(SequenceEntry), offsetof(SequenceEntry, start)};
    return {sizeof(uint64_t), 0};
  }

  // As the list stands in the file.
  void read(const List& list) {
    const ByteView bytes = bytes_of(list.section);
    if (list.kind == PatchList::kProbes) return add_probes(bytes);
    const Shape shape = shape_of(list.kind);
    for (uint64_t at = 0; range_fits(at + shape.offset, sizeof(uint64_t), bytes.size());
         at += shape.entry_size)
      add_entry(list, at, Vaddr{*load<uint64_t>(bytes, at + shape.offset)});
    if (list.kind == PatchList::kSleds) add_relative_sleds(list.section);
    if (list.section.size != 0) written_.push_back(list);
  }

  // As a relocation writes an entry of it.
  void apply(const Relocation& relocation) {
    const List* list = list_at(relocation.place);
    if (list == nullptr) return;
    const uint64_t at = relocation.place.value - list->section.addr;
    const Shape shape = shape_of(list->kind);
    if (at % shape.entry_size == shape.offset)
      add_entry(*list, at - shape.offset, Vaddr{relocation.target});
  }

  // No two share an address (read_once.h).
  const List* list_at(Vaddr place) const {
    const auto after = std::partition_point(
        written_.begin(), written_.end(),
        [place](const List& list) { return list.section.addr <= place.value; });
    if (after == written_.begin()) return nullptr;
    const List& list = *(after - 1);
    return place.value - list.section.addr < list.section.size ? &list : nullptr;
  }

  // The address in the entry that begins there in the list.
  void add_entry(const List& list, uint64_t at, Vaddr address) {
    switch (list.kind) {
      case PatchList::kPatchable:
        return add_nops(address);
      case PatchList::kMcount:
        return add(address, kCallSize);
      case PatchList::kSleds:
        return add(address, kSledSize);
      case PatchList::kSequences:
        return add_sequence(list, at, address);
      case PatchList::kProbes:
        return;
    }
  }

  ByteView bytes_of(const elf::Shdr& section) const {
    if (section.type == elf::kShtNobits) return {};
    return slice(image_.bytes(), section.offset, section.size).value_or(ByteView{});
  }

  // Of all that is listed little matters.
  void add(Vaddr at, uint64_t size) {
    const auto range = ranges_.first_ending_behind(at.value);
    const auto end = checked_add(at.value, size);
    if (range != ranges_.ranges().end() && end && range->from.value < *end) points_.add(at, {*end});
  }

  // -fpatchable-function-entry=N,M: M nops in front of the function and the rest behind, behind an
  // endbr64 where there is one. The list names the first. Entries that name one run over and over
  // cost a budget; once it is spent, all that could be nops counts as nops.
  void add_nops(Vaddr at) {
    if (!ranges_near(at)) return;
    if (nops_budget_ == 0) return add(at, kMostNops);
    const Vaddr start = at, limit = at + kMostNops;
    Vaddr nops = at;  // those that are not added yet
    while (at < limit) {
      const auto bytes = image_.bytes_from(at);
      const auto in = bytes ? decoder_.decode(*bytes, at) : std::nullopt;
      const bool is_endbr = in && in->special == Special::kEndbr;
      const bool is_nop = in && (in->special == Special::kNop || in->special == Special::kSled);
      if (!is_nop && !is_endbr) break;
      if (is_endbr) add(nops, static_cast<uint64_t>(at - nops));
      at = in->end();
      if (is_endbr) nops = at;
    }
    add(nops, static_cast<uint64_t>(at - nops));
    nops_budget_ -= std::min(nops_budget_, static_cast<uint64_t>(at - start));
  }

  // There are as many entries as functions, and few of them matter.
  bool ranges_near(Vaddr at) const {
    const auto range = ranges_.first_ending_behind(at.value);
    return range != ranges_.ranges().end() && range->from < at + kMostNops + 16;
  }

  void add_relative_sleds(const elf::Shdr& section) {
    const ByteView bytes = bytes_of(section);
    for (uint64_t at = 0; range_fits(at, sizeof(SledEntry), bytes.size());
         at += sizeof(SledEntry)) {
      const auto entry = *load<SledEntry>(bytes, at);
      if (entry.version >= 2) add(Vaddr{section.addr + at + entry.address}, kSledSize);
    }
  }

  void add_sequence(const List& list, uint64_t at, Vaddr start) {
    const auto entry = load<SequenceEntry>(bytes_of(list.section), at);
    if (!entry || !checked_add(start.value, entry->length)) return;
    if (entry->length <= kMostSequence) return add(start, entry->length);
    long_sequences_.push_back({start, start + entry->length});
  }

  // They may overlap by the thousand, and each take long to add: those parts count that are asked
  // about, and each once.
  void add_long_sequences() {
    std::sort(long_sequences_.begin(), long_sequences_.end(),
              [](const Range& a, const Range& b) { return a.from < b.from; });
    Vaddr free{0};  // what lies in front of it is added
    for (const Range& sequence : long_sequences_) {
      const Vaddr from = std::max(sequence.from, free);
      auto range = ranges_.first_ending_behind(from.value);
      for (; range != ranges_.ranges().end() && range->from < sequence.to; ++range)
        points_.add(std::max(range->from, from), std::min(range->to, sequence.to));
      free = std::max(free, sequence.to);
    }
  }

  void add_probes(ByteView bytes) {
    uint64_t at = 0;
    while (const auto header = load<elf::Nhdr>(bytes, at)) {
      const uint64_t name = at + sizeof(elf::Nhdr);
      const uint64_t description = align_up(name + header->namesz, 4);
      const auto probe = load<uint64_t>(bytes, description);
      const auto base = load<uint64_t>(bytes, description + sizeof(uint64_t));
      const bool is_probe = header->type == 3 && header->descsz >= 24;
      if (is_probe && probe && base)
        add_probe({*probe + (base_of_probes_.value_or(*base) - *base)});
      at = align_up(description + header->descsz, 4);
    }
  }

  // What stands there is a nop, of 5 bytes where the kernel may make it a call.
  void add_probe(Vaddr at) {
    const auto bytes = image_.bytes_from(at);
    const auto in = bytes ? decoder_.decode(*bytes, at) : std::nullopt;
    add(at, in ? in->length : 1);
  }

  std::vector<uint64_t> points_in_ranges() {
    add_long_sequences();
    points_.seal();
    std::vector<uint64_t> found;
    if (points_.empty()) return found;
    for (const Range& range : ranges_.ranges())
      for (uint64_t at = range.from.value; at < range.to.value; ++at)
        if (points_.contains(at)) found.push_back(at);
    return found;
  }

  const ElfImage& image_;
  const RangeSet& ranges_;
  const Decoder decoder_;
  // Where the program was linked anew for other addresses (prelink), this tells how far.
  std::optional<uint64_t> base_of_probes_;
  uint64_t nops_budget_;       // bytes
  std::vector<List> written_;  // those that relocations may write to, by address
  std::vector<Range> long_sequences_;
  RangeSet points_{12};
};

}  // namespace

std::optional<PatchList> patch_list_named(std::string_view section) {
  if (section == "__patchable_function_entries") return PatchList::kPatchable;
  if (section == "__mcount_loc") return PatchList::kMcount;
  if (section == "xray_instr_map") return PatchList::kSleds;
  if (section == ".note.stapsdt") return PatchList::kProbes;
  if (section == "__rseq_cs") return PatchList::kSequences;
  return std::nullopt;
}

std::vector<uint64_t> scan_patch_points(const ElfImage& image, const RangeSet& ranges) {
  return PatchPoints(image, ranges).find();
}

}  // namespace sysrewrite
