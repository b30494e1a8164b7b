#include "tests/differential/coverage.h"

#include <fmt/format.h>

#include <algorithm>

#include "tests/differential/cpu.h"

namespace sysrewrite::differential {

namespace {

constexpr char kTiers[] = {'A', 'B', 'C', 'D', 'N'};

template <typename T, size_t N>
void add_all(T (&left)[N], const T (&right)[N]) {
  for (size_t i = 0; i < N; ++i) left[i] += right[i];
}

// The item that starts at an address of the file; nothing where none does, as inside the gauge of a
// branch back.
const Item* item_at(const Batch& batch, const Image& image, uint64_t vaddr) {
  const auto& placed = image.functions;
  const auto next = std::upper_bound(placed.begin(), placed.end(), vaddr,
                                     [](uint64_t at, const Placed& p) { return at < p.vaddr; });
  if (next == placed.begin()) return nullptr;
  const auto function = static_cast<size_t>(next - 1 - placed.begin());
  const auto& starts = placed[function].laid.starts;
  const auto found = std::lower_bound(starts.begin(), starts.end(), vaddr - placed[function].vaddr);
  if (found == starts.end() || *found != vaddr - placed[function].vaddr) return nullptr;
  return &batch.functions[function].items[static_cast<size_t>(found - starts.begin())];
}

template <typename Names, size_t N>
std::string list(const char* title, const uint64_t (&counts)[N], Names name) {
  std::string out = title;
  for (size_t i = 0; i < N; ++i)
    out += fmt::format("{} {} {}", i == 0 ? "" : ",", name(i), counts[i]);
  return out + "\n";
}

std::string tier_name(size_t i) {
  return i == 4 ? "native" : std::string(1, kTiers[i]);
}
std::string class_name(size_t i) {
  return name_of(static_cast<Class>(i));
}
std::string operand_name(size_t i) {
  return name_of(static_cast<Operand>(i));
}

bool can_be_covered(Class kind) {
  if (kind == Class::kVex) return has_avx2();
  if (kind == Class::kEvex) return has_avx512();
  return true;
}

}  // namespace

void Coverage::add(const Coverage& other) {
  cases += other.cases;
  add_all(tiers, other.tiers);
  add_all(classes, other.classes);
  add_all(operands, other.operands);
  uncertain += other.uncertain;
  behind += other.behind;
  calls += other.calls;
  traps += other.traps;
  signals += other.signals;
  excused += other.excused;
}

Coverage coverage_of(const Batch& batch, const Image& image, const Comparison& comparison) {
  Coverage out;
  out.cases = batch.functions.size();
  out.calls = comparison.calls;
  out.traps = comparison.traps;
  out.signals = comparison.signals;
  out.excused = comparison.excused;
  out.uncertain = image.file.meta().uncertain_count;
  for (uint32_t i = 0; i < image.file.site_count(); ++i) {
    const SiteRecord site = image.file.site(i);
    const auto* tier =
        std::find(std::begin(kTiers), std::end(kTiers), static_cast<char>(site.tier));
    ++out.tiers[tier - kTiers];
    for (uint32_t j = 0; j < site.displaced; ++j) {
      const DisplacedRecord record = image.file.displaced(site, j);
      if (record.original > site.before) ++out.behind;
      const Item* item =
          item_at(batch, image, image.file.window_vaddr(site).value + record.original);
      if (item == nullptr || item->meaning == Class::kCount) continue;
      ++out.classes[static_cast<size_t>(item->meaning)];
      ++out.operands[static_cast<size_t>(item->operand)];
    }
  }
  return out;
}

std::string describe(const Coverage& coverage) {
  std::string out = fmt::format(
      "{} cases: {} calls reached a callback, {} by the trap; {} ended by the same signal\n",
      coverage.cases, coverage.calls, coverage.traps, coverage.signals);
  out += list("sites by tier:", coverage.tiers, tier_name);
  out += fmt::format("left as uncertain: {}; cases left out since they touch their own code: {}\n",
                     coverage.uncertain, coverage.excused);
  out += list("displaced:", coverage.classes, class_name);
  out += list("their operands:", coverage.operands, operand_name);
  return out + fmt::format("of them behind the call: {}\n", coverage.behind);
}

std::string missing(const Coverage& coverage) {
  std::string out;
  const auto want = [&out](uint64_t count, const std::string& what) {
    if (count == 0) out += (out.empty() ? "" : ", ") + what;
  };
  for (size_t i = 0; i < 4; ++i) want(coverage.tiers[i], "tier " + tier_name(i));
  for (size_t i = 0; i < std::size(coverage.classes); ++i)
    if (can_be_covered(static_cast<Class>(i))) want(coverage.classes[i], class_name(i));
  for (size_t i = 0; i < std::size(coverage.operands); ++i)
    want(coverage.operands[i], operand_name(i));
  // Many would be no accident.
  if (coverage.excused > 10 && coverage.excused > coverage.cases / 10000)
    want(0, "that few functions touch their own code");
  want(coverage.behind, "an instruction behind the call");
  want(coverage.traps, "a trap");
  want(coverage.signals, "a signal");
  return out;
}

}  // namespace sysrewrite::differential
