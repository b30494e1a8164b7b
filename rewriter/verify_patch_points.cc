#include "rewriter/verify_patch_points.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "rewriter/verify_overlap.h"

namespace sysrewrite {

namespace {

class PatchPointCheck {
 public:
  PatchPointCheck(const Evidenced& in, const std::vector<SiteReading>& sites, Findings& findings)
      : in_(in), image_(in.original), findings_(findings), nops_budget_(image_.bytes().size()) {
    for (const SiteReading& site : sites) add(site);
    std::sort(patches_.begin(), patches_.end(),
              [](const Patch& a, const Patch& b) { return a.from < b.from; });
  }

  void check() {
    collect_lists();
    if (!lists_are_disjoint()) return;
    for (const List& list : lists_) read(list);
    if (!written_.empty())
      image_.for_each_relocation(
          [this](uint64_t place, uint64_t, uint64_t value) { apply(place, value); });
  }

 private:
  static constexpr uint64_t kMostNops = 256;  // bytes
  static constexpr uint64_t kSledEntry = 32, kSled = 11;
  static constexpr uint64_t kSequenceEntry = 32, kSequenceStart = 8;

  enum class Kind { kPatchable, kMcount, kSleds, kProbes, kSequences };

  struct List {
    Kind kind;
    elf::Shdr header;
    uint64_t index;  // of the section
  };

  static std::optional<Kind> kind_of(std::string_view name) {
    if (name == "__patchable_function_entries") return Kind::kPatchable;
    if (name == "__mcount_loc") return Kind::kMcount;
    if (name == "xray_instr_map") return Kind::kSleds;
    if (name == ".note.stapsdt") return Kind::kProbes;
    if (name == "__rseq_cs") return Kind::kSequences;
    return std::nullopt;
  }

  void collect_lists() {
    const std::vector<elf::Shdr> sections = image_.sections();
    const uint64_t names = image_.names_index();
    if (names >= sections.size()) return;
    for (const elf::Shdr& section : sections)
      if (!base_of_probes_ && name_of(sections[names], section) == ".stapsdt.base")
        base_of_probes_ = section.addr;
    for (uint64_t i = 0; i < sections.size(); ++i)
      if (const auto kind = kind_of(name_of(sections[names], sections[i])))
        lists_.push_back({*kind, sections[i], i});
    for (const List& list : lists_)
      if (list.kind != Kind::kProbes && list.header.size != 0) written_.push_back(list);
    std::sort(written_.begin(), written_.end(),
              [](const List& a, const List& b) { return a.header.addr < b.header.addr; });
  }

  // Each is read from end to end, and each relocation looks for the one that it writes to.
  bool lists_are_disjoint() {
    std::vector<Extent> bytes, addresses;
    for (const List& list : lists_)
      bytes.push_back(
          {list.header.offset, list.header.offset + bytes_of(list.header).size(), list.index});
    for (const List& list : written_) {
      const auto end = checked_add(list.header.addr, list.header.size);
      addresses.push_back({list.header.addr, end.value_or(UINT64_MAX), list.index});
    }
    auto overlap = overlap_of(std::move(bytes));
    if (!overlap) overlap = overlap_of(std::move(addresses));
    if (overlap)
      findings_.at_offset(image_.header().shoff + overlap->higher * sizeof(elf::Shdr),
                          "a list of places that a tracer writes over",
                          fmt::format("what section {} holds, which is one too", overlap->lower),
                          "bytes and addresses of its own");
    return !overlap;
  }

  ByteView bytes_of(const elf::Shdr& list) const {
    return slice(image_.bytes(), list.offset, list.size).value_or(ByteView{});
  }

  // Cut behind what any list's name takes: a table may be without an end to its names.
  std::string_view name_of(const elf::Shdr& names, const elf::Shdr& list) const {
    constexpr size_t kLongest = 64;
    const ByteView table = bytes_of(names);
    if (list.name >= table.size()) return {};
    const ByteView rest = table.subspan(list.name);
    const void* start = rest.data();
    const void* end = std::memchr(start, 0, std::min(rest.size(), kLongest));
    if (end == nullptr) return {};
    return {static_cast<const char*>(start),
            static_cast<size_t>(static_cast<const char*>(end) - static_cast<const char*>(start))};
  }

  // As it stands in the file.
  void read(const List& list) {
    if (list.kind == Kind::kSleds) return read_sleds(list.header);
    if (list.kind == Kind::kProbes) return check_probes(list.header);
    if (list.kind == Kind::kSequences) return read_sequences(list.header);
    const ByteView bytes = bytes_of(list.header);
    for (uint64_t at = 0; range_fits(at, 8, bytes.size()); at += 8)
      check_entry(list.kind, *load<uint64_t>(bytes, at));
  }

  // As a relocation writes it.
  void apply(uint64_t place, uint64_t value) {
    const auto after =
        std::partition_point(written_.begin(), written_.end(),
                             [place](const List& list) { return list.header.addr <= place; });
    if (after == written_.begin()) return;
    const List& list = *(after - 1);
    const uint64_t at = place - list.header.addr;
    if (at >= list.header.size) return;
    if (list.kind == Kind::kSleds) {
      if (at % kSledEntry == 0) refuse({value}, kSled, "a sled of XRay's");
    } else if (list.kind == Kind::kSequences) {
      if (at % kSequenceEntry == kSequenceStart)
        check_sequence(bytes_of(list.header), at - kSequenceStart, value);
    } else {
      check_entry(list.kind, value);
    }
  }

  void check_entry(Kind kind, uint64_t at) {
    if (!is_near({at})) return;
    if (kind == Kind::kPatchable) return refuse({at}, nops_at({at}), "a patchable entry");
    refuse({at}, 5, "a call of mcount");
  }

  // As many bytes as nops fill, with an endbr64 among them. Where they were counted too often,
  // because entries name one run over and over, as many as there may be.
  uint64_t nops_at(Vaddr start) {
    if (nops_budget_ == 0) return kMostNops;
    Vaddr at = start, end = start;
    while (static_cast<uint64_t>(at - start) < kMostNops) {
      const auto next = in_.decoder.decode(image_.bytes_from(at), at);
      if (!next || (next->special != Special::kNop && next->special != Special::kSled &&
                    next->special != Special::kEndbr))
        break;
      at = next->end();
      if (next->special != Special::kEndbr) end = at;
    }
    nops_budget_ -= std::min(nops_budget_, static_cast<uint64_t>(at - start));
    return static_cast<uint64_t>(end - start);
  }

  // 32 bytes each: where, the function, kind, whether always, version. From version 2 on what says
  // where is a distance from itself; before, a relocation writes it.
  void read_sleds(const elf::Shdr& list) {
    const ByteView bytes = bytes_of(list);
    for (uint64_t at = 0; range_fits(at, kSledEntry, bytes.size()); at += kSledEntry) {
      const uint64_t where = *load<uint64_t>(bytes, at);
      const bool is_distance = bytes[at + 18] >= std::byte{2};
      refuse({where + (is_distance ? list.addr + at : 0)}, kSled, "a sled of XRay's");
    }
  }

  // 32 bytes each: version, flags; start, length, where an interrupted thread goes on.
  void read_sequences(const elf::Shdr& list) {
    const ByteView bytes = bytes_of(list);
    for (uint64_t at = 0; range_fits(at, kSequenceEntry, bytes.size()); at += kSequenceEntry)
      check_sequence(bytes, at, *load<uint64_t>(bytes, at + kSequenceStart));
  }

  void check_sequence(ByteView bytes, uint64_t at, uint64_t start) {
    constexpr uint64_t kLength = 16;
    const auto length = load<uint64_t>(bytes, at + kLength);
    if (length && checked_add(start, *length))
      refuse({start}, *length, "a restartable sequence",
             "no patch there: its instructions run in the stub, where nobody restarts them");
  }

  // name size, description size, type; "stapsdt"; where, base, semaphore, words. Where the program
  // was linked anew for other addresses (prelink), .stapsdt.base tells how far.
  void check_probes(const elf::Shdr& list) {
    const ByteView bytes = bytes_of(list);
    for (uint64_t at = 0; range_fits(at, 12, bytes.size());) {
      const uint64_t name_size = *load<uint32_t>(bytes, at);
      const uint64_t size = *load<uint32_t>(bytes, at + 4);
      const bool is_probe = load<uint32_t>(bytes, at + 8) == uint32_t{3} && size >= 24;
      const uint64_t description = at + 12 + align_up(name_size, 4);
      const auto noted = load<uint64_t>(bytes, description),
                 base = load<uint64_t>(bytes, description + 8);
      if (is_probe && noted && base) {
        const Vaddr where{*noted + (base_of_probes_.value_or(*base) - *base)};
        const auto probe = in_.decoder.decode(image_.bytes_from(where), where);
        refuse(where, probe ? probe->length : 1, "an SDT probe");
      }
      at = description + align_up(size, 4);
    }
  }

  struct Patch {
    Vaddr from, to, site;
  };

  // Poison alone displaces nothing.
  void add(const SiteReading& site) {
    if (site.record.tier != Tier::kNative && site.record.tier != Tier::kTrap)
      patches_.push_back({site.window, site.end, site.site});
    if (site.springboard)
      patches_.push_back({*site.springboard, *site.springboard + kSpringboardSize, site.site});
  }

  // The first that ends behind an address; they are disjoint, as was checked before.
  std::vector<Patch>::const_iterator first_behind(Vaddr at) const {
    return std::partition_point(patches_.begin(), patches_.end(),
                                [at](const Patch& patch) { return patch.to <= at; });
  }

  bool is_near(Vaddr at) const {
    const auto patch = first_behind(at);
    return patch != patches_.end() && patch->from < at + kMostNops;
  }

  void refuse(Vaddr at, uint64_t size, const char* what,
              const char* expected = "no patch there, since a tracer writes over it") {
    const auto patch = first_behind(at);
    if (patch == patches_.end() || patch->from >= at + size) return;
    findings_.at_address(
        at, what, fmt::format("it in the patch of the site {:#x}", patch->site.value), expected);
  }

  const Evidenced& in_;
  const OriginalImage& image_;
  Findings& findings_;
  std::optional<uint64_t> base_of_probes_;
  uint64_t nops_budget_;  // bytes
  std::vector<Patch> patches_;
  std::vector<List> lists_, written_;  // all; those that relocations may write to, by address
};

}  // namespace

void verify_patch_points(const Evidenced& in, const std::vector<SiteReading>& sites,
                         Findings& findings) {
  PatchPointCheck(in, sites, findings).check();
}

}  // namespace sysrewrite
