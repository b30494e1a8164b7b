#include "rewriter/verify_reach.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "rewriter/verify_agreement.h"
#include "rewriter/verify_flows.h"

namespace sysrewrite {

namespace {

class ReachCheck {
 public:
  ReachCheck(const Evidenced& in, const KnownFunctions& functions, const CodeSections& sections,
             const std::vector<SiteReading>& sites, Findings& findings)
      : in_(in),
        sites_(sites),
        findings_(findings),
        functions_(functions),
        flows_(in.original, in.decoder, functions),
        sections_(sections) {}

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
    if (site.springboard) check_padding(site);
    const KnownFlow* known = flows_.around(site.site);
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
    if (displaced < followed(site.before, *known) + followed(site.behind, *known))
      findings_.at_address(site.window, "a window",
                           "that control flow reaches its syscall, and not all that is displaced",
                           "instructions that it reaches");
  }

  // No flow of the function around the site, or of the one around the padding, runs through it:
  // most decodes in front may be of another mind, if many instructions are made so that they are.
  void check_padding(const SiteReading& site) {
    const Vaddr end = *site.springboard + kSpringboardSize;
    for (const Vaddr place : {site.site, site.padding, *site.springboard}) {
      const KnownFlow* known = flows_.around(place);
      if (known == nullptr) continue;
      const auto readings = known->flow.reached_in(site.padding, end);
      if (readings.empty()) continue;
      return findings_.at_address(
          *site.springboard, "a springboard",
          fmt::format("padding from {:#x} on, and control flow reaches {:#x}", site.padding.value,
                      readings.front().address.value),
          "padding that no control flow reaches");
    }
  }

  void check_unreached_site(const SiteReading& site, const KnownFlow* known) {
    if (functions_.is_object(site.site) || !sections_.may_hold(site.site.value))
      return findings_.at_address(site.site, "a site of the table",
                                  "that a symbol or the section headers call it data",
                                  "code, or that control flow reaches it");
    check_agreement(site, known);
    for (const Instruction& in : site.before)
      if (!is_known_start(site, in.address))
        return findings_.at_address(
            in.address, "a displaced instruction",
            "that control flow does not reach it, and that not all decodes come by it",
            "that an instruction begins there");
  }

  // Behind the syscall there is only one way to read on. In front of it another instruction may
  // begin earlier and end where this one does.
  bool is_known_start(const SiteReading& site, Vaddr start) {
    if (const KnownFlow* known = flows_.around(start)) {
      const auto readings = known->flow.reached_in(start, start + 1);
      if (!readings.empty()) return readings.front().address == start;
      if (known->knows_rest() && known->flow.swept_holder(start) == start) return true;
    }
    return all_come_by(in_.original, in_.decoder, site.syscall.address, start);
  }

  // Flow ends where a function without a size is taken to end, if need be in the midst of one.
  static size_t followed(const std::vector<Instruction>& displaced, const KnownFlow& known) {
    return static_cast<size_t>(
        std::count_if(displaced.begin(), displaced.end(), [&known](const Instruction& in) {
          return !known.bounds.bare || in.end().value <= known.bounds.end;
        }));
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
  void check_agreement(const SiteReading& site, const KnownFlow* known) {
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
    const KnownFlow* known = flows_.around(pair);
    const auto readings = known == nullptr ? std::vector<FunctionFlow::Reached>()
                                           : known->flow.reached_in(pair, pair + 2);
    if (readings.empty()) return check_unreached(pair, known);
    if (std::none_of(readings.begin(), readings.end(),
                     [&](const auto& reading) { return calls_at(reading.address, pair); }))
      return;
    const FunctionFlow& flow = known->flow;
    const bool doubtful = readings.size() > 1 || readings.front().behind_call ||
                          flow.is_called_over(pair) || flow.is_read_otherwise(pair, pair + 2) ||
                          functions_.is_object(pair);
    if (!doubtful)
      return findings_.at_address(pair, "a syscall instruction",
                                  "that control flow reaches it, and no site of the table names it",
                                  "a site, of whatever tier");
    count_uncertain(pair);
  }

  // A case of a switch, a landing pad, or a function that no table names: a syscall by all decodes.
  void check_unreached(Vaddr pair, const KnownFlow* known) {
    if (functions_.is_object(pair) || !sections_.may_hold(pair.value)) return;
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
  const KnownFunctions& functions_;
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
