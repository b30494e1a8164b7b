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
constexpr uint64_t kMostSequence = 65536;  // bytes: they are a few instructions

class PatchPoints {
 public:
  PatchPoints(const ElfImage& image, const RangeSet& ranges) : image_(image), ranges_(ranges) {}

  std::vector<uint64_t> find() {
    for (const elf::Shdr& section : image_.sections()) {
      const std::string name = image_.section_name(section);
      if (name == "__patchable_function_entries") {
        for_each_address(section, sizeof(uint64_t), 0,
                         [this](uint64_t, Vaddr at) { add_nops(at); });
      } else if (name == "__mcount_loc") {
        for_each_address(section, sizeof(uint64_t), 0,
                         [this](uint64_t, Vaddr at) { add(at, kCallSize); });
      } else if (name == "xray_instr_map") {
        for_each_address(section, sizeof(SledEntry), 0,
                         [this](uint64_t, Vaddr at) { add(at, kSledSize); });
        add_relative_sleds(section);
      } else if (name == ".note.stapsdt") {
        add_probes(section);
      } else if (name == "__rseq_cs") {
        read_sequences(section);
      }
    }
    add_sequences();
    std::sort(found_.begin(), found_.end());
    found_.erase(std::unique(found_.begin(), found_.end()), found_.end());
    return std::move(found_);
  }

 private:
  ByteView bytes_of(const elf::Shdr& section) const {
    if (section.type == elf::kShtNobits) return {};
    return slice(image_.bytes(), section.offset, section.size).value_or(ByteView{});
  }

  void add(Vaddr at, uint64_t size) {
    for (uint64_t i = 0; i < size; ++i)
      if (ranges_.contains(at.value + i)) found_.push_back(at.value + i);
  }

  // Calls visit(where the entry begins in the section, the word at this offset in it), as it stands
  // in the file or as a relocation writes it.
  template <typename Visit>
  void for_each_address(const elf::Shdr& section, uint64_t entry_size, uint64_t offset,
                        Visit visit) const {
    const ByteView bytes = bytes_of(section);
    for (uint64_t at = 0; range_fits(at + offset, sizeof(uint64_t), bytes.size()); at += entry_size)
      visit(at, Vaddr{*load<uint64_t>(bytes, at + offset)});
    for_each_relocation(image_, [&](const Relocation& relocation) {
      const uint64_t at = relocation.place.value - section.addr;
      if (at < section.size && at % entry_size == offset)
        visit(at - offset, Vaddr{relocation.target});
    });
  }

  // -fpatchable-function-entry=N,M: M nops in front of the function and the rest behind, behind an
  // endbr64 where there is one. The list names the first.
  void add_nops(Vaddr at) {
    if (!ranges_near(at)) return;
    const Vaddr limit = at + kMostNops;
    while (at < limit) {
      const auto bytes = image_.bytes_from(at);
      const auto in = bytes ? decoder_.decode(*bytes, at) : std::nullopt;
      const bool is_nop = in && (in->special == Special::kNop || in->special == Special::kSled);
      if (is_nop) add(at, in->length);
      if (!is_nop && !(in && in->special == Special::kEndbr)) return;
      at = in->end();
    }
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

  void read_sequences(const elf::Shdr& section) {
    const ByteView bytes = bytes_of(section);
    for_each_address(section, sizeof(SequenceEntry), offsetof(SequenceEntry, start),
                     [&](uint64_t at, Vaddr start) {
                       const auto entry = load<SequenceEntry>(bytes, at);
                       if (entry && entry->length <= kMostSequence)
                         sequences_.add(start, start + entry->length);
                     });
  }

  void add_sequences() {
    sequences_.seal();
    for (const Range& range : ranges_.ranges())
      for (uint64_t at = range.from.value; at < range.to.value; ++at)
        if (sequences_.contains(at)) found_.push_back(at);
  }

  // Where the program was linked anew for other addresses (prelink), .stapsdt.base tells how far.
  uint64_t base_of_probes(uint64_t expected) const {
    for (const elf::Shdr& section : image_.sections())
      if (image_.section_name(section) == ".stapsdt.base") return section.addr;
    return expected;
  }

  void add_probes(const elf::Shdr& section) {
    const ByteView bytes = bytes_of(section);
    uint64_t at = 0;
    while (const auto header = load<elf::Nhdr>(bytes, at)) {
      const uint64_t name = at + sizeof(elf::Nhdr);
      const uint64_t description = align_up(name + header->namesz, 4);
      const auto probe = load<uint64_t>(bytes, description);
      const auto base = load<uint64_t>(bytes, description + sizeof(uint64_t));
      const bool is_probe = header->type == 3 && header->descsz >= 24;
      if (is_probe && probe && base) add_probe({*probe + (base_of_probes(*base) - *base)});
      at = align_up(description + header->descsz, 4);
    }
  }

  // What stands there is a nop, of 5 bytes where the kernel may make it a call.
  void add_probe(Vaddr at) {
    const auto bytes = image_.bytes_from(at);
    const auto in = bytes ? decoder_.decode(*bytes, at) : std::nullopt;
    add(at, in ? in->length : 1);
  }

  const ElfImage& image_;
  const RangeSet& ranges_;
  const Decoder decoder_;
  RangeSet sequences_{12};
  std::vector<uint64_t> found_;
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
