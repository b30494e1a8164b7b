#include "rewriter/verify_reach.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <deque>

#include "rewriter/verify_agreement.h"
#include "rewriter/verify_flow.h"

namespace sysrewrite {

namespace {

// The flow of the function around an address. Addresses ascend, so the last few are enough.
class Flows {
 public:
  Flows(const Evidenced& in, const KnownFunctions& functions) : in_(in), functions_(functions) {
    for (const elf::Phdr& load : in.original.loads())
      if ((load.flags & elf::kFlagExec) != 0) budget_ += kBudgetFactor * load.filesz;
  }

  struct Known {
    KnownFunctions::Bounds bounds;
    FunctionFlow flow;

    Known(KnownFunctions::Bounds b, const Decoder& decoder, ByteView body)
        : bounds(b), flow(decoder, body, {b.start}) {}

    // What flow from a bare start does not reach may be another function.
    bool knows_rest() const { return !bounds.bare; }
  };

  // Null where no function is known there, or where functions overlap so much that to read them all
  // would take for ever: then spent() is true.
  const Known* around(Vaddr address) {
    const auto bounds = functions_.innermost(address);
    if (!bounds) return nullptr;
    for (const Known& known : recent_)
      if (known.bounds == *bounds) return &known;
    const uint64_t size = bounds->end - bounds->start;
    spent_ = spent_ || size > budget_;
    if (spent_) return nullptr;
    budget_ -= size;
    if (recent_.size() == kRecent) recent_.pop_front();
    const ByteView body = in_.original.bytes_from({bounds->start}).first(size);
    return &recent_.emplace_back(*bounds, in_.decoder, body);
  }

  bool is_object(Vaddr address) const { return functions_.is_object(address); }
  bool spent() const { return spent_; }

 private:
  static constexpr size_t kRecent = 4;
  static constexpr uint64_t kBudgetFactor = 16, kLeastBudget = 1 << 20;

  const Evidenced& in_;
  const KnownFunctions& functions_;
  std::deque<Known> recent_;
  uint64_t budget_ = kLeastBudget;
  bool spent_ = false;
};

class ReachCheck {
 public:
  ReachCheck(const Evidenced& in, const KnownFunctions& functions, const CodeSections& sections,
             const std::vector<SiteReading>& sites, Findings& findings)
      : in_(in), sites_(sites), findings_(findings), flows_(in, functions), sections_(sections) {}

  // Gives the number of sites that nothing vouches for.
  uint32_t check() {
    for (const SiteReading& site : sites_) {
      pairs_of_sites_.push_back((site.syscall.end() - 2).value);
      if (site.record.tier != Tier::kNative) check_site(site);
    }
    std::sort(pairs_of_sites_.begin(), pairs_of_sites_.end());
    in_.original.for_each_pair([this](Vaddr pair) {
      const auto& known = pairs_of_sites_;
      if (!std::binary_search(known.begin(), known.end(), pair.value)) check_left(pair);
    });
    check_uncertain();
    if (flows_.spent())
      findings_.at_offset(0, "the functions of the input", "more that overlap than can be read",
                          "functions whose flow can be followed");
    return unvouched_;
  }

 private:
  void check_site(const SiteReading& site) {
    const Flows::Known* known = flows_.around(site.site);
    bool reached = false;
    size_t displaced = 0;  // of those that flow reaches
    if (known != nullptr)
      for (const FunctionFlow::Reached& other : known->flow.reached_in(site.window, site.end)) {
        if (!is_of(site, other)) return report_other(site, other);
        reached = reached || other.address == site.site;
        displaced += other.address == site.site ? 0 : 1;
      }
    if (!reached) return check_unreached_site(site, known);
    // What flow does not reach, beside what it does, may be data.
    if (displaced < site.before.size() + site.behind.size())
      findings_.at_address(site.window, "a window",
                           "that control flow reaches its syscall, and not all that is displaced",
                           "instructions that it reaches");
  }

  void check_unreached_site(const SiteReading& site, const Flows::Known* known) {
    if (flows_.is_object(site.site) || !sections_.may_hold(site.site.value))
      return findings_.at_address(site.site, "a site of the table",
                                  "that a symbol or the section headers call it data",
                                  "code, or that control flow reaches it");
    check_agreement(site, known);
  }

  // One of the instructions that the window holds.
  static bool is_of(const SiteReading& site, const FunctionFlow::Reached& other) {
    const auto same = [&other](const Instruction& in) {
      return in.address == other.address && in.length == other.length;
    };
    return same(site.syscall) || std::any_of(site.before.begin(), site.before.end(), same) ||
           std::any_of(site.behind.begin(), site.behind.end(), same);
  }

  void report_other(const SiteReading& site, const FunctionFlow::Reached& other) {
    findings_.at_address(
        site.site, "a site of the table",
        fmt::format("`{}` at {:#x}, which control flow reaches and which has bytes in the patch",
                    in_.decoder.format(in_.original.bytes_from(other.address), other.address),
                    other.address.value),
        "none but the instructions that the patch displaces");
  }

  // Where flow from no known start arrives, decodes from in front of the site tell, if they agree:
  // what --uncertain has patched lies where they do not. In a function the decode from what flow
  // reaches must say the same, as data ends other decodes.
  void check_agreement(const SiteReading& site, const Flows::Known* known) {
    const Vaddr pair = site.syscall.end() - 2;
    const auto holder = agreed_holder(in_.original, in_.decoder, pair);
    if (holder && calls_at(*holder, pair)) return;
    const bool swept_otherwise =
        known != nullptr && known->knows_rest() && known->flow.swept_holder(pair) != holder;
    const bool called_over = known != nullptr && known->flow.is_called_over(pair);
    if (!holder || swept_otherwise || called_over) {
      ++unvouched_;
      return;
    }
    findings_.at_address(
        site.site, "a site of the table",
        fmt::format("that decodes from in front of it agree on `{}` at {:#x}, which holds it",
                    in_.decoder.format(in_.original.bytes_from(*holder), *holder), holder->value),
        "that it is an instruction, and no bytes inside another");
  }

  // A syscall instruction, prefixes or not, that ends in the pair.
  bool calls_at(Vaddr start, Vaddr pair) const {
    const auto in = in_.decoder.decode(in_.original.bytes_from(start), start);
    return in && in->special == Special::kSyscall && in->end() == pair + 2;
  }

  // A pair that is no site: whether control flow runs into it all the same.
  void check_left(Vaddr pair) {
    const Flows::Known* known = flows_.around(pair);
    const auto readings = known == nullptr ? std::vector<FunctionFlow::Reached>()
                                           : known->flow.reached_in(pair, pair + 2);
    if (readings.empty()) return check_unreached(pair, known);
    if (!calls_at(readings.front().address, pair)) return;
    const FunctionFlow& flow = known->flow;
    const bool doubtful = readings.size() > 1 || readings.front().behind_call ||
                          flow.is_called_over(pair) || flow.is_read_otherwise(pair, pair + 2) ||
                          flows_.is_object(pair);
    if (!doubtful)
      return findings_.at_address(pair, "a syscall instruction",
                                  "that control flow reaches it, and no site of the table names it",
                                  "a site, of whatever tier");
    count_uncertain(pair);
  }

  // A case of a switch, a landing pad, or a function that no table names: a syscall by all decodes.
  void check_unreached(Vaddr pair, const Flows::Known* known) {
    if (flows_.is_object(pair) || !sections_.may_hold(pair.value)) return;
    const auto holder = agreed_holder(in_.original, in_.decoder, pair);
    if (!holder || !calls_at(*holder, pair)) return;
    if (known != nullptr && known->flow.swept_holder(pair) != holder) return;
    count_uncertain(pair);
  }

  void count_uncertain(Vaddr pair) {
    if (uncertain_++ == 0) first_uncertain_ = pair;
  }

  void check_uncertain() {
    const uint32_t reported = in_.file.meta().uncertain_count;
    if (uncertain_ <= reported) return;
    findings_.at_offset(
        in_.file.meta_offset().value + offsetof(MetaHeader, uncertain_count),
        "the number of uncertain pairs", fmt::format("{}", reported),
        fmt::format("{} or more, of syscall instructions that control flow reaches, or on which "
                    "decodes agree, and that are no sites, from {:#x} on",
                    uncertain_, first_uncertain_.value));
  }

  const Evidenced& in_;
  const std::vector<SiteReading>& sites_;
  Findings& findings_;
  Flows flows_;
  const CodeSections& sections_;
  std::vector<uint64_t> pairs_of_sites_;  // ascending
  uint64_t uncertain_ = 0;
  uint32_t unvouched_ = 0;
  Vaddr first_uncertain_;
};

}  // namespace

uint32_t verify_reach(const Evidenced& in, const KnownFunctions& functions,
                      const CodeSections& sections, const std::vector<SiteReading>& sites,
                      Findings& findings) {
  return ReachCheck(in, functions, sections, sites, findings).check();
}

}  // namespace sysrewrite
