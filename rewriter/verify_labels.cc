#include "rewriter/verify_labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "rewriter/verify_symbols.h"

namespace sysrewrite {

namespace {

class LabelCheck {
 public:
  LabelCheck(const OriginalImage& original, const CallFrames& frames, Findings& findings)
      : original_(original),
        findings_(findings),
        frames_(frames),
        tables_(offset_tables(original)),
        budget_(kLeastBudget + kBudgetFactor * original.bytes().size()) {
    for (const elf::Sym& symbol : original.sized_functions())
      if (const auto end = checked_add(symbol.value, symbol.size))
        symbols_.push_back({symbol.value, *end});
    std::sort(symbols_.begin(), symbols_.end());
    uint64_t reach = 0;
    for (const Bounds& function : symbols_) reach_.push_back(reach = std::max(reach, function.end));
  }

  void check(const SiteReading& site) {
    const uint64_t padding = site.padding.value;
    if (const CallFrame* frame = frames_.covering(site.padding)) {
      // A signal frame's entry begins a byte before its function.
      const uint64_t early = frame->common.signal_frame ? 1 : 0;
      judge(site, {frame->own.start.value + early, frame->own.start.value + frame->own.size});
    }
    const auto after = std::upper_bound(symbols_.begin(), symbols_.end(), Bounds{padding, ~0ULL});
    const auto behind = static_cast<size_t>(after - symbols_.begin());
    for (size_t i = behind; i > 0 && reach_[i - 1] > padding && behind - i < kMostSteps; --i)
      if (symbols_[i - 1].end > padding) judge(site, symbols_[i - 1]);
  }

 private:
  static constexpr size_t kMostSteps = 4096;
  // Bytes of functions that are read: those of a compiler do not overlap, those of an attacker may
  // be as long as the file, all of them.
  static constexpr uint64_t kLeastBudget = uint64_t{16} << 20, kBudgetFactor = 16;

  struct Bounds {
    uint64_t start, end;
    auto operator<=>(const Bounds&) const = default;
  };

  bool is_too_much(const Bounds& function) {
    const uint64_t size =
        std::min<uint64_t>(function.end - function.start, original_.bytes().size());
    const bool spent = size > budget_;
    if (!spent) budget_ -= size;
    return spent;
  }

  void judge(const SiteReading& site, const Bounds& function) {
    auto known = labels_.find(function);
    if (known == labels_.end()) {
      if (is_too_much(function))
        return findings_.at_address(*site.springboard, "a springboard",
                                    "more functions that overlap than can be read",
                                    "functions whose labels can be looked for");
      known = labels_.emplace(function, label_taken_by(function)).first;
    }
    const auto label = known->second;
    if (!label) return;
    findings_.at_address(
        *site.springboard, "a springboard",
        fmt::format("that it stands in the function {:#x}, which takes the address of {:#x}",
                    function.start, *label),
        "that the function takes no address inside itself");
  }

  // An address behind the function's start and before its end.
  std::optional<uint64_t> label_taken_by(const Bounds& function) const {
    const elf::Phdr* segment = original_.code_around({function.start}, 1);
    if (segment == nullptr) return std::nullopt;
    const ByteView rest = original_.bytes_from({function.start});
    const ByteView code = rest.first(std::min(rest.size(), function.end - function.start));
    const auto inside = [&](uint64_t address) {
      return address > function.start && address < function.end;
    };
    for (uint64_t at = 0; at + 4 <= code.size(); ++at) {
      const uint64_t word = *load<uint32_t>(code, at);
      if (at >= 2 && is_lea(code[at - 2], code[at - 1])) {
        const auto distance = static_cast<int64_t>(static_cast<int32_t>(word));
        const uint64_t label = function.start + at + 4 + static_cast<uint64_t>(distance);
        if (inside(label)) return label;
      }
      const auto offset = load<uint64_t>(code, at);
      if (offset && at >= 2 && is_movabs(code[at - 2], code[at - 1]))
        for (const uint64_t table : tables_)
          if (inside(table + *offset)) return table + *offset;
      if (original_.position_independent()) continue;
      if (inside(word)) return word;
      if (offset && inside(*offset)) return *offset;
    }
    return std::nullopt;
  }

  static bool is_lea(std::byte opcode, std::byte modrm) {
    return opcode == std::byte{0x8d} && (modrm & std::byte{0xc7}) == std::byte{0x05};
  }

  static bool is_movabs(std::byte rex, std::byte opcode) {
    return (rex & std::byte{0xf8}) == std::byte{0x48} &&
           (opcode & std::byte{0xf8}) == std::byte{0xb8};
  }

  const OriginalImage& original_;
  Findings& findings_;
  const CallFrames& frames_;
  std::vector<uint64_t> tables_;
  std::vector<Bounds> symbols_;  // ascending
  std::vector<uint64_t> reach_;  // for each, the highest end of it and of those in front
  std::map<Bounds, std::optional<uint64_t>> labels_;
  uint64_t budget_;
};

}  // namespace

std::vector<uint64_t> offset_tables(const OriginalImage& original) {
  constexpr int64_t kPltGot = 3;
  std::vector<uint64_t> tables;
  if (const auto table = original.dynamic(kPltGot)) tables.push_back(*table);
  const std::vector<elf::Shdr> sections = original_sections(original);
  constexpr size_t kMostSections = 1024;
  if (sections.size() > kMostSections) return tables;
  bool plt = false, plain = false;  // only the first of a name is looked at
  for (const elf::Shdr& section : sections) {
    const std::string name = original_name(original, sections, section);
    if (name == ".got.plt" && !std::exchange(plt, true)) tables.push_back(section.addr);
    if (name == ".got" && !std::exchange(plain, true)) tables.push_back(section.addr);
  }
  return tables;
}

void verify_labels(const OriginalImage& original, const KnownFunctions& functions,
                   const std::vector<SiteReading>& sites, Findings& findings) {
  const auto has_springboard = [](const SiteReading& site) { return site.springboard.has_value(); };
  if (std::none_of(sites.begin(), sites.end(), has_springboard)) return;
  LabelCheck check(original, functions.frames(), findings);
  for (const SiteReading& site : sites)
    if (site.springboard) check.check(site);
}

}  // namespace sysrewrite
