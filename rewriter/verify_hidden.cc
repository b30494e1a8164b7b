#include "rewriter/verify_hidden.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "rewriter/dwarf_cursor.h"
#include "rewriter/verify_symbols.h"

namespace sysrewrite {

namespace {

// Elsewhere than in the middle of an instruction: at a second one of the window, behind a prefix of
// one, in a springboard's padding.
bool may_be_entered(const SiteReading& site) {
  if (site.record.tier == Tier::kNative) return false;
  const bool prefixed = site.syscall.prefixes != 0 ||
                        std::any_of(site.before.begin(), site.before.end(),
                                    [](const Instruction& in) { return in.prefixes != 0; });
  return prefixed || site.record.tier == Tier::kWindow || site.springboard.has_value();
}

// What is read of tables that an attacker lets overlap by the thousand; those of a compiler do not
// overlap, and a run of them is read once for each that it holds.
class Budget {
 public:
  explicit Budget(const OriginalImage& original)
      : left_((uint64_t{16} << 20) + 16 * original.bytes().size()) {}

  bool pay(uint64_t bytes) {
    const bool enough = bytes <= left_;
    left_ = enough ? left_ - bytes : 0;
    return enough;
  }
  bool spent() const { return left_ == 0; }

 private:
  uint64_t left_;
};

class LandingPads {
 public:
  LandingPads(const OriginalImage& original, const CallFrames& frames,
              const ForbiddenSet& forbidden, Findings& findings)
      : original_(original),
        forbidden_(forbidden),
        findings_(findings),
        frames_(frames),
        budget_(original) {}

  void check(const std::vector<SiteReading>& sites) {
    for (const CallFrame& frame : frames_.all())
      if (frame.own.lsda && !read(frame)) add_unread(frame.own);
    if (budget_.spent())
      findings_.at_offset(0, "lists of landing pads", "more that overlap than can be read",
                          "lists that can be read to their ends");
    for (const SiteReading& site : sites) {
      if (site.record.tier == Tier::kWindow && is_unread(site.site))
        report(site.site, "a window of tier C", "that nothing leads into the window");
      if (site.springboard && is_unread(site.padding))
        report(*site.springboard, "a springboard", "that nothing leads into its padding");
    }
  }

 private:
  // Source: Itanium C++ ABI: Exception Handling; LSB Core 5.0, 10.5.1 for the encodings. A table of
  // types may follow, which names no code.
  bool read(const CallFrame& frame) {
    const Vaddr address = frame.own.lsda->target;
    const ByteView bytes = original_.bytes_from(address);
    if (bytes.empty() || budget_.spent()) return false;
    DwarfCursor in(bytes, address);
    Vaddr base = frame.own.start;
    const auto base_encoding = in.read<uint8_t>();
    if (base_encoding != kPointerOmitted) base = {in.read_encoded(base_encoding, true)};
    if (in.read<uint8_t>() != kPointerOmitted) in.read_uleb();
    const auto encoding = in.read<uint8_t>();
    const uint64_t size = in.read_uleb(), begin = in.position();
    if (!in.good() || !budget_.pay(std::min<uint64_t>(size, bytes.size()))) return false;
    while (in.good() && in.position() - begin < size) {
      in.read_encoded(encoding, false);  // the calls' start
      in.read_encoded(encoding, false);  // their length
      const uint64_t pad = in.read_encoded(encoding, false);
      in.read_uleb();  // what is done there
      if (in.good() && pad != 0) meet(frame, base + pad);
    }
    return in.good() && in.position() - begin == size;
  }

  // Frames come ascending by start.
  void add_unread(const FrameDescription& frame) {
    const uint64_t start = frame.start.value;
    const uint64_t end = start + std::min(frame.size, UINT64_MAX - start);
    if (!unread_.empty() && start <= unread_.back().second)
      unread_.back().second = std::max(unread_.back().second, end);
    else
      unread_.emplace_back(start, end);
  }

  // True where it lies in any of those, not in the innermost alone.
  bool is_unread(Vaddr address) const {
    const auto after =
        std::upper_bound(unread_.begin(), unread_.end(), address.value,
                         [](uint64_t a, const auto& function) { return a < function.first; });
    return after != unread_.begin() && address.value < (after - 1)->second;
  }

  void report(Vaddr where, const char* what, const char* expected) {
    findings_.at_address(where, what, "a function whose landing pads cannot be read", expected);
  }

  void meet(const CallFrame& frame, Vaddr pad) {
    if (const Forbidden* hit = forbidden_.find_pointer(pad.value))
      report_entry(*hit, frame.own.start.value, "a landing pad of a function", findings_);
  }

  const OriginalImage& original_;
  const ForbiddenSet& forbidden_;
  Findings& findings_;
  const CallFrames& frames_;
  Budget budget_;
  // Functions whose pads cannot be read: start and end, ascending, apart from each other.
  std::vector<std::pair<uint64_t, uint64_t>> unread_;
};

class DistanceTables {
 public:
  DistanceTables(const OriginalImage& original, const KnownFunctions& functions,
                 const ForbiddenSet& forbidden, Findings& findings)
      : original_(original),
        forbidden_(forbidden),
        findings_(findings),
        functions_(functions),
        budget_(original) {
    for (const elf::Phdr& load : original.loads()) {
      if ((load.flags & elf::kFlagExec) == 0) continue;
      code_from_ = std::min(code_from_, load.vaddr);
      code_to_ = std::max(code_to_, load.vaddr + load.filesz);
    }
  }

  void check(const SiteReading& site) {
    for (const Vaddr place : {site.window, site.springboard.value_or(site.window)}) {
      const auto bounds = functions_.innermost(place);
      if (bounds && !bounds->bare)
        read_once(*bounds);
      else
        read_near(place);
    }
  }

  void report_if_spent() {
    if (budget_.spent())
      findings_.at_offset(0, "tables of distances", "more that overlap than can be read",
                          "tables that can be read to their ends");
  }

 private:
  static constexpr uint64_t kNear = 8192, kWord = 4, kMostWords = 65536;

  void read_once(const KnownFunctions::Bounds& bounds) {
    if (read_.insert(bounds).second) read_function(bounds);
  }

  // In whole blocks: of a row of places each would else pay for the same bytes.
  void read_near(Vaddr place) {
    const elf::Phdr* load = original_.code_around(place, 1);
    if (load == nullptr) return;
    constexpr uint64_t kLea = 6;
    const uint64_t end = load->vaddr + load->filesz;
    const uint64_t first = (place.value - std::min(kNear, place.value)) / kNear;
    for (uint64_t block = first; block <= place.value / kNear + 1; ++block) {
      const uint64_t from = std::max(load->vaddr, block * kNear);
      const uint64_t to = std::min(end, (block + 1) * kNear + kLea - 1);
      if (from < to) read_once({from, to, true});
    }
  }

  void read_function(const KnownFunctions::Bounds& function) {
    const ByteView rest = original_.bytes_from({function.start});
    const ByteView code = rest.first(std::min(rest.size(), function.end - function.start));
    if (!budget_.pay(code.size())) return;
    for (uint64_t at = 0; at + 6 <= code.size(); ++at) {
      if (code[at] != std::byte{0x8d} || (code[at + 1] & std::byte{0xc7}) != std::byte{0x05})
        continue;
      const int64_t distance = *load<int32_t>(code, at + 2);
      const uint64_t table = function.start + at + 6 + static_cast<uint64_t>(distance);
      if (table % kWord == 0 && tables_.insert(table).second) read_table(table);
    }
  }

  // Its end is told by nothing but what cannot be a distance any more.
  void read_table(uint64_t table) {
    const ByteView words = original_.bytes_from({table});
    for (uint64_t i = 0; i < kMostWords && budget_.pay(kWord); ++i) {
      const auto distance = load<int32_t>(words, i * kWord);
      if (!distance) return;
      const uint64_t target = table + static_cast<uint64_t>(int64_t{*distance});
      if (target < code_from_ || target >= code_to_) return;
      if (const Forbidden* hit = forbidden_.find_pointer(target))
        report_entry(*hit, table + i * kWord, "a distance in a table", findings_);
    }
  }

  const OriginalImage& original_;
  const ForbiddenSet& forbidden_;
  Findings& findings_;
  const KnownFunctions& functions_;
  Budget budget_;
  uint64_t code_from_ = UINT64_MAX, code_to_ = 0;
  std::set<KnownFunctions::Bounds> read_;
  std::set<uint64_t> tables_;
};

}  // namespace

void verify_hidden_entries(const OriginalImage& original, const KnownFunctions& functions,
                           const std::vector<SiteReading>& sites, const ForbiddenSet& forbidden,
                           Findings& findings) {
  if (std::none_of(sites.begin(), sites.end(), may_be_entered)) return;
  LandingPads(original, functions.frames(), forbidden, findings).check(sites);
  DistanceTables tables(original, functions, forbidden, findings);
  for (const SiteReading& site : sites)
    if (may_be_entered(site)) tables.check(site);
  tables.report_if_spent();
}

}  // namespace sysrewrite
