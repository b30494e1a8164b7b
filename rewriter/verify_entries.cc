#include "rewriter/verify_entries.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "rewriter/verify_agreement.h"
#include "rewriter/verify_flows.h"
#include "rewriter/verify_forbidden.h"
#include "rewriter/verify_hidden.h"
#include "rewriter/verify_labels.h"

namespace sysrewrite {

namespace {

enum class Opening : uint8_t { kNone, kShort, kLong, kTwoByte, kTransaction, kLea, kMovabs };

constexpr std::array<Opening, 256> make_openings() {
  std::array<Opening, 256> table{};
  for (unsigned b = 0x70; b < 0x80; ++b) table[b] = Opening::kShort;
  for (unsigned b = 0xe0; b < 0xe4; ++b) table[b] = Opening::kShort;
  table[0xeb] = Opening::kShort;
  table[0xe8] = table[0xe9] = Opening::kLong;
  table[0x0f] = Opening::kTwoByte;
  table[0xc7] = Opening::kTransaction;
  table[0x8d] = Opening::kLea;
  for (unsigned b = 0x48; b < 0x50; ++b) table[b] = Opening::kMovabs;
  return table;
}

constexpr std::array<Opening, 256> kOpenings = make_openings();

class EntryScan {
 public:
  EntryScan(const OriginalImage& original, const Decoder& decoder, const KnownFunctions& functions,
            const ForbiddenSet& set, Findings& findings)
      : original_(original),
        decoder_(decoder),
        set_(set),
        findings_(findings),
        flows_(original, decoder, functions),
        tables_(offset_tables(original)) {}

  void scan_code(ByteView code, uint64_t start) {
    for (uint64_t at = 0; at + 2 <= code.size(); ++at) {
      const auto second = std::to_integer<unsigned>(code[at + 1]);
      switch (kOpenings[std::to_integer<size_t>(code[at])]) {
        case Opening::kNone:
          break;
        case Opening::kShort:
          meet(set_.find(start + at + 2 + extended(static_cast<int8_t>(second))), start + at,
               "a branch");
          break;
        case Opening::kLong:
          follow(code, start, at, 1, "a branch");
          break;
        case Opening::kTwoByte:
          if ((second & 0xf0) == 0x80) follow(code, start, at, 2, "a branch");
          break;
        case Opening::kTransaction:
          if (second == 0xf8) follow(code, start, at, 2, "a transaction's way out");
          break;
        case Opening::kLea:
          if ((second & 0xc7) == 0x05) follow(code, start, at, 2, "the address in a lea");
          break;
        case Opening::kMovabs:
          if ((second & 0xf8) == 0xb8) count_from_tables(code, start, at);
          break;
      }
    }
  }

  void scan_pointers(ByteView bytes, uint64_t start) {
    for (uint64_t at = 0; at + 4 <= bytes.size(); ++at) {
      check_pointer(*load<uint32_t>(bytes, at), start + at, "a pointer");
    }
    if (!set_.beyond_32_bits()) return;
    for (uint64_t at = 0; at + 8 <= bytes.size(); ++at) {
      const auto value = *load<uint64_t>(bytes, at);
      if (value > UINT32_MAX) check_pointer(value, start + at, "a pointer");
    }
  }

  void check_pointer(uint64_t value, uint64_t where, const char* what) {
    if (const Forbidden* hit = set_.find_pointer(value)) report(hit, where, what);
  }

  void report_if_spent() {
    if (flows_.spent())
      findings_.at_offset(0, "the functions around possible branches",
                          "more that overlap than can be read",
                          "functions whose flow can be followed");
  }

 private:
  static uint64_t extended(int64_t displacement) { return static_cast<uint64_t>(displacement); }

  // `opcode`: bytes in front of the 32-bit displacement.
  void follow(ByteView code, uint64_t start, uint64_t at, uint64_t opcode, const char* what) {
    const auto displacement = load<int32_t>(code, at + opcode);
    if (!displacement) return;
    const uint64_t target = start + at + opcode + 4 + extended(*displacement);
    if (code[at] == std::byte{0x8d})
      check_pointer(target, start + at, what);
    else
      meet(set_.find(target), start + at, what);
  }

  void count_from_tables(ByteView code, uint64_t start, uint64_t at) {
    const auto offset = load<uint64_t>(code, at + 2);
    if (!offset) return;
    for (const uint64_t table : tables_)
      check_pointer(table + *offset, start + at, "an offset from the global offset table");
  }

  void meet(const Forbidden* hit, uint64_t where, const char* what) {
    if (hit == nullptr) return;
    if (hit->forbids != Forbids::kInstructions || is_branch({where}, hit->address))
      report(hit, where, what);
  }

  // By the flow of the function around it, where that arrives; else by what that function is swept
  // to be, or by decodes in front. An attacker can have most of them say anything.
  bool is_branch(Vaddr where, uint64_t target) {
    const KnownFlow* known = flows_.around(where);
    if (known != nullptr) {
      const auto readings = known->flow.reached_in(where, where + 1);
      if (!readings.empty())
        return std::any_of(readings.begin(), readings.end(), [&](const auto& reading) {
          return branches_to(reading.address, target);
        });
      const auto swept = known->knows_rest() ? known->flow.swept_holder(where) : std::nullopt;
      if (swept && branches_to(*swept, target)) return true;
    }
    const auto agreed = agreed_holder(original_, decoder_, where);
    return (agreed && branches_to(*agreed, target)) || most_decodes_branch(where.value, target);
  }

  bool branches_to(Vaddr start, uint64_t target) const {
    const auto in = decoder_.decode(original_.bytes_from(start), start);
    return in && in->direct && in->target.value == target;
  }

  // True where most decodes that start up to 128 bytes in front come by a branch to the target at
  // `where`, its opcode, or before. Over bytes that are no instruction they go on one byte later.
  bool most_decodes_branch(uint64_t where, uint64_t target) const {
    constexpr uint64_t kBack = 128;
    const elf::Phdr* load = original_.code_around({where}, 1);
    if (load == nullptr) return false;
    const uint64_t back = std::min(kBack, where - load->vaddr);
    const Vaddr first = Vaddr{where} - back;
    const ByteView code = original_.bytes_from(first);
    std::array<bool, kBack + 1> comes_by{};
    uint64_t votes = 0;
    for (uint64_t at = back + 1; at-- > 0;) {
      const auto in = decoder_.decode(code.subspan(at), first + at);
      const uint64_t next = at + (in ? in->length : 1);
      const bool branch = in && in->direct && in->target.value == target;
      comes_by[at] = branch || (next <= back && comes_by[next]);
      votes += comes_by[at] ? 1 : 0;
    }
    return 2 * votes > back + 1;
  }

  void report(const Forbidden* hit, uint64_t where, const char* what) {
    report_entry(*hit, where, what, findings_);
  }

  const OriginalImage& original_;
  const Decoder& decoder_;
  const ForbiddenSet& set_;
  Findings& findings_;
  Flows flows_;
  std::vector<uint64_t> tables_;
};

// The bytes of all patches, for relocations that would write over them.
class PatchedBytes {
 public:
  explicit PatchedBytes(const std::vector<SiteReading>& sites) {
    for (const SiteReading& site : sites) {
      if (site.record.tier == Tier::kNative) continue;
      spans_.emplace_back(site.window.value, site.end.value);
      if (site.springboard)
        spans_.emplace_back(site.springboard->value, site.springboard->value + kSpringboardSize);
    }
    std::sort(spans_.begin(), spans_.end());
  }

  // Disjoint: that no two patches overlap was checked when the originals were put back.
  bool meets(uint64_t from, uint64_t size) const {
    const auto after = std::upper_bound(spans_.begin(), spans_.end(), Span{from, UINT64_MAX});
    if (after != spans_.end() && after->first - from < size) return true;
    return after != spans_.begin() && (after - 1)->second > from;
  }

 private:
  using Span = std::pair<uint64_t, uint64_t>;
  std::vector<Span> spans_;
};

// Calls visit(from, to, the site) for each range of addresses at which no function may start: a
// window, or the padding of a springboard. A start at the syscall itself is served by what stands
// there, but in a window of several instructions.
template <typename Visit>
void for_each_range_without_starts(const std::vector<SiteReading>& sites, Visit visit) {
  for (const SiteReading& site : sites) {
    if (site.record.tier == Tier::kNative) continue;
    visit(site.site + 1, site.syscall.end(), site.site);
    if (site.record.tier == Tier::kInstruction) visit(site.window + 1, site.site, site.site);
    if (site.record.tier == Tier::kWindow) visit(site.window + 1, site.end, site.site);
    if (site.springboard) visit(site.padding, *site.springboard + kSpringboardSize, site.site);
  }
}

// Those that only an unwind table tells.
void verify_function_starts(const KnownFunctions& functions, const std::vector<SiteReading>& sites,
                            Findings& findings) {
  for_each_range_without_starts(sites, [&](Vaddr from, Vaddr to, Vaddr site) {
    if (const auto start = functions.start_in(from, to))
      findings.at_address(*start, "the start of a function",
                          fmt::format("it inside the patch of the site {:#x}", site.value),
                          "none there");
  });
}

void verify_signal_frames(const KnownFunctions& functions, const std::vector<SiteReading>& sites,
                          Findings& findings) {
  for (const SiteReading& site : sites) {
    if (site.record.tier == Tier::kNative || !site.springboard) continue;
    const Vaddr end = *site.springboard + kSpringboardSize;
    if (functions.holds_front_of_signal_frame(*site.springboard, end))
      findings.at_address(*site.springboard, "a springboard",
                          "the byte in front of a signal frame's function in it",
                          "that it stays, since unwinders look there");
  }
}

void verify_relocations(const OriginalImage& original, const std::vector<SiteReading>& sites,
                        EntryScan& scan, Findings& findings) {
  const PatchedBytes patched(sites);
  original.for_each_relocation([&](uint64_t place, uint64_t size, uint64_t value) {
    if (patched.meets(place, size))
      findings.at_address({place}, "a relocation", "that it writes into a patch", "that none does");
    scan.check_pointer(value, place, "what a relocation writes");
  });
}

// Those that symbols and the like tell.
void verify_starts(const OriginalImage& original, const std::vector<SiteReading>& sites,
                   Findings& findings) {
  const std::vector<uint64_t> starts = original.starts();
  for_each_range_without_starts(sites, [&](Vaddr from, Vaddr to, Vaddr site) {
    const auto it = std::lower_bound(starts.begin(), starts.end(), from.value);
    if (it != starts.end() && *it < to.value)
      findings.at_address({*it}, "a symbol or entry point",
                          fmt::format("one inside the patch of the site {:#x}", site.value),
                          "none there");
  });
}

}  // namespace

void verify_entries(const OriginalImage& original, const Decoder& decoder,
                    const KnownFunctions& functions, const std::vector<SiteReading>& sites,
                    Findings& findings) {
  const ForbiddenSet set(sites);
  EntryScan scan(original, decoder, functions, set, findings);
  verify_relocations(original, sites, scan, findings);
  verify_starts(original, sites, findings);
  verify_function_starts(functions, sites, findings);
  verify_signal_frames(functions, sites, findings);
  if (set.empty()) return;
  verify_hidden_entries(original, functions, sites, set, findings);
  for (const elf::Phdr& load : original.loads()) {
    const ByteView bytes = original.bytes_of(load);
    if ((load.flags & elf::kFlagExec) != 0) scan.scan_code(bytes, load.vaddr);
    if (!original.position_independent()) scan.scan_pointers(original.words_of(load), load.vaddr);
  }
  scan.report_if_spent();
}

}  // namespace sysrewrite
