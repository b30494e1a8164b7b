#include "rewriter/verify_patch_points.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace sysrewrite {

namespace {

class PatchPointCheck {
 public:
  PatchPointCheck(const Evidenced& in, const std::vector<SiteReading>& sites, Findings& findings)
      : in_(in), image_(in.original), findings_(findings) {
    for (const SiteReading& site : sites) add(site);
    std::sort(patches_.begin(), patches_.end(),
              [](const Patch& a, const Patch& b) { return a.from < b.from; });
  }

  void check() {
    const elf::Ehdr& header = image_.header();
    if (header.shentsize != sizeof(elf::Shdr)) return;
    const auto names = section(header.shstrndx);
    for (uint64_t i = 0; names && i < header.shnum; ++i) {
      const auto list = section(i);
      if (!list) return;
      check_list(name_of(*names, *list), *list);
    }
  }

 private:
  static constexpr uint64_t kMostNops = 256;  // bytes

  std::optional<elf::Shdr> section(uint64_t index) const {
    const auto offset = checked_add(image_.header().shoff, index * sizeof(elf::Shdr));
    return offset ? load<elf::Shdr>(image_.bytes(), *offset) : std::nullopt;
  }

  ByteView bytes_of(const elf::Shdr& list) const {
    return slice(image_.bytes(), list.offset, list.size).value_or(ByteView{});
  }

  std::string_view name_of(const elf::Shdr& names, const elf::Shdr& list) const {
    const ByteView rest = slice_from(bytes_of(names), list.name);
    const void* start = rest.data();
    const void* end = rest.empty() ? nullptr : std::memchr(start, 0, rest.size());
    if (end == nullptr) return {};
    return {static_cast<const char*>(start),
            static_cast<size_t>(static_cast<const char*>(end) - static_cast<const char*>(start))};
  }

  static ByteView slice_from(ByteView bytes, uint64_t from) {
    return from < bytes.size() ? bytes.subspan(from) : ByteView{};
  }

  void check_list(std::string_view name, const elf::Shdr& list) {
    if (name == "xray_instr_map") return check_sleds(list);
    if (name == ".note.stapsdt") return check_probes(list);
    if (name == "__rseq_cs") return check_sequences(list);
    const bool patchable = name == "__patchable_function_entries";
    if (!patchable && name != "__mcount_loc") return;
    const auto check_one = [&](uint64_t at) {
      if (is_near({at}))
        refuse({at}, patchable ? nops_at({at}) : 5,
               patchable ? "a patchable entry" : "a call of mcount");
    };
    const ByteView bytes = bytes_of(list);
    for (uint64_t at = 0; range_fits(at, 8, bytes.size()); at += 8)
      check_one(*load<uint64_t>(bytes, at));
    image_.for_each_relocation([&](uint64_t place, uint64_t, uint64_t value) {
      if (place - list.addr < list.size) check_one(value);
    });
  }

  // As many bytes as nops fill, with an endbr64 among them.
  uint64_t nops_at(Vaddr start) const {
    Vaddr at = start, end = start;
    while (static_cast<uint64_t>(at - start) < kMostNops) {
      const auto next = in_.decoder.decode(image_.bytes_from(at), at);
      if (!next || (next->special != Special::kNop && next->special != Special::kSled &&
                    next->special != Special::kEndbr))
        break;
      at = next->end();
      if (next->special != Special::kEndbr) end = at;
    }
    return static_cast<uint64_t>(end - start);
  }

  // 32 bytes each: where, the function, kind, whether always, version. From version 2 on what says
  // where is a distance from itself; before, a relocation writes it.
  void check_sleds(const elf::Shdr& list) {
    constexpr uint64_t kEntry = 32, kSled = 11;
    const ByteView bytes = bytes_of(list);
    for (uint64_t at = 0; range_fits(at, kEntry, bytes.size()); at += kEntry) {
      const uint64_t where = *load<uint64_t>(bytes, at);
      const bool is_distance = bytes[at + 18] >= std::byte{2};
      refuse({where + (is_distance ? list.addr + at : 0)}, kSled, "a sled of XRay's");
    }
    image_.for_each_relocation([&](uint64_t place, uint64_t, uint64_t value) {
      if (place - list.addr < list.size && (place - list.addr) % kEntry == 0)
        refuse({value}, kSled, "a sled of XRay's");
    });
  }

  // 32 bytes each: version, flags; start, length, where an interrupted thread goes on.
  void check_sequences(const elf::Shdr& list) {
    constexpr uint64_t kEntry = 32, kStart = 8, kLength = 16;
    const ByteView bytes = bytes_of(list);
    const auto check_one = [&](uint64_t at, uint64_t start) {
      const auto length = load<uint64_t>(bytes, at + kLength);
      if (length && checked_add(start, *length))
        refuse({start}, *length, "a restartable sequence",
               "no patch there: its instructions run in the stub, where nobody restarts them");
    };
    for (uint64_t at = 0; range_fits(at, kEntry, bytes.size()); at += kEntry)
      check_one(at, *load<uint64_t>(bytes, at + kStart));
    image_.for_each_relocation([&](uint64_t place, uint64_t, uint64_t value) {
      const uint64_t at = place - list.addr;
      if (at < list.size && at % kEntry == kStart) check_one(at - kStart, value);
    });
  }

  // name size, description size, type; "stapsdt"; where, base, semaphore, words.
  void check_probes(const elf::Shdr& list) {
    const ByteView bytes = bytes_of(list);
    for (uint64_t at = 0; range_fits(at, 12, bytes.size());) {
      const uint64_t name_size = *load<uint32_t>(bytes, at);
      const uint64_t size = *load<uint32_t>(bytes, at + 4);
      const uint64_t description = at + 12 + align_up(name_size, 4);
      const auto where = load<uint64_t>(bytes, description);
      if (size >= 24 && where) {
        const auto probe = in_.decoder.decode(image_.bytes_from({*where}), {*where});
        refuse({*where}, probe ? probe->length : 1, "an SDT probe");
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
  std::vector<Patch> patches_;
};

}  // namespace

void verify_patch_points(const Evidenced& in, const std::vector<SiteReading>& sites,
                         Findings& findings) {
  PatchPointCheck(in, sites, findings).check();
}

}  // namespace sysrewrite
