#include "cli/report_text.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/printable.h"

namespace sysrewrite {

const char* kind_text(ImageKind kind) {
  switch (kind) {
    case ImageKind::kStaticExecutable:
      return "static executable";
    case ImageKind::kDynamicExecutable:
      return "dynamic executable";
    case ImageKind::kSharedObject:
      return "shared object";
    case ImageKind::kInterpreter:
      return "program interpreter";
  }
  return "";
}

const char* class_text(CandidateClass kind) {
  switch (kind) {
    case CandidateClass::kInstruction:
      return "instruction";
    case CandidateClass::kInside:
      return "inside";
    case CandidateClass::kData:
      return "data";
    case CandidateClass::kUncertain:
      return "uncertain";
  }
  return "";
}

const char* pair_text(PairKind kind) {
  switch (kind) {
    case PairKind::kSyscall:
      return "syscall";
    case PairKind::kSysenter:
      return "sysenter";
    case PairKind::kInt80:
      return "int $0x80";
  }
  return "";
}

namespace {

std::string start_text(const Report& report) {
  switch (report.start) {
    case StartChange::kNone:
      return "started as before";
    case StartChange::kPathInPlace:
      return fmt::format("started by {}", report.interpreter);
    case StartChange::kPathAtEnd:
      return fmt::format("started by {} (a path this long is lost by strip)", report.interpreter);
    case StartChange::kHeadersAtEnd:
      return fmt::format("started by {}, through new program headers", report.interpreter);
    case StartChange::kPathInSegment:
      return fmt::format("started by {}, named in a segment of its own", report.interpreter);
    case StartChange::kNoteAtEnd:
      return fmt::format("started by {} where it is executed itself", report.interpreter);
  }
  return "";
}

// Who maps the trampoline.
std::string start_lines(const Report& report) {
  std::string out;
  const bool is_library = report.kind == ImageKind::kSharedObject;
  const bool has_trampoline = report.trampoline_size != 0;
  if (report.start != StartChange::kNone || !has_trampoline)
    out += fmt::format("  {}\n", start_text(report));
  else if (!is_library)
    out += "  names no sysload: where nobody maps its trampoline its first call crashes\n";
  if (is_library && has_trampoline)
    out +=
        "  mapped by a rewritten ld.so under sysload (sysrewrite batch makes both): under any "
        "other its first call crashes\n";
  return out;
}

std::string tier_lines(const Report& report) {
  struct Row {
    Tier tier;
    const char* what;
  };
  constexpr Row kRows[] = {
      {Tier::kInstruction, "the jump replaces the instruction before"},
      {Tier::kSpringboard, "a short jump to a springboard in dead padding"},
      {Tier::kWindow, "the jump replaces several instructions"},
      {Tier::kTrap, "poisoned; each call is served by a trap"},
      {Tier::kNative, "left native: the kernel is called directly"},
  };
  std::string out;
  for (const Row& row : kRows) {
    const size_t count = report.count(row.tier);
    if (count == 0 && (row.tier == Tier::kTrap || row.tier == Tier::kNative)) continue;
    out += fmt::format("  tier {}   {:>6}   {}\n", static_cast<char>(row.tier), count, row.what);
  }
  return out;
}

// Lines for people: a list that nobody would read to its end is cut, and says so.
class ShortList {
 public:
  void add(const std::string& line) {
    if (++count_ <= kMost) text_ += line;
  }
  std::string text() const {
    if (count_ <= kMost) return text_;
    return text_ + fmt::format("  ... and {} more (--json lists them all)\n", count_ - kMost);
  }

 private:
  static constexpr size_t kMost = 20;
  size_t count_ = 0;
  std::string text_;
};

std::string exception_lines(const Report& report) {
  ShortList sites, uncertain, others;
  for (const SiteReport& site : report.sites)
    if (site.tier == Tier::kTrap || site.tier == Tier::kNative)
      sites.add(fmt::format("  {:#x}: {}: {}\n", site.address.value,
                            site.tier == Tier::kTrap ? "trap" : "native",
                            reason_text(site.reason)));
  for (const ClassifiedCandidate& candidate : report.candidates)
    if (candidate.kind == CandidateClass::kUncertain)
      uncertain.add(fmt::format("  {:#x}: 0f 05 left alone: {}\n",
                                candidate.candidate.address.value,
                                evidence_text(candidate.evidence)));
  for (const ClassifiedCandidate& other : report.other_calls)
    others.add(fmt::format("  {:#x}: {} left alone: only syscall is redirected\n",
                           other.candidate.address.value, pair_text(other.candidate.kind)));
  return sites.text() + uncertain.text() + others.text();
}

nlohmann::json site_json(const SiteReport& site) {
  nlohmann::json out = {{"address", site.address.value},
                        {"tier", std::string(1, static_cast<char>(site.tier))},
                        {"reason", reason_text(site.reason)},
                        {"evidence", evidence_text(site.evidence)},
                        {"window", {{"address", site.window.value}, {"size", site.window_size}}}};
  if (site.tier != Tier::kNative) out["stub"] = site.stub.value;
  if (site.springboard) out["springboard"] = site.springboard->value;
  return out;
}

nlohmann::json candidate_json(const ClassifiedCandidate& candidate) {
  return {{"address", candidate.candidate.address.value},
          {"pair", pair_text(candidate.candidate.kind)},
          {"class", class_text(candidate.kind)},
          {"evidence", evidence_text(candidate.evidence)}};
}

}  // namespace

std::string report_text(const Report& report, const std::string& input, const std::string& output,
                        bool dry_run) {
  const std::string where = dry_run ? "nothing written (--dry-run)" : printable(output);
  if (report.already_rewritten)
    return fmt::format("{}: already rewritten{}, nothing to do: {}\n", printable(input),
                       report.was_incomplete ? ", and some sites were left native" : "", where);
  std::string out = fmt::format("{} -> {}\n", printable(input), where);
  out += fmt::format("  {}, {} -> {} bytes (+{:.1f} %), {} sites of {} `0f 05` pairs\n",
                     kind_text(report.kind), report.input_size, report.output_size,
                     100.0 * static_cast<double>(report.output_size - report.input_size) /
                         static_cast<double>(report.input_size),
                     report.sites.size(), report.candidates.size());
  out += tier_lines(report);
  out += start_lines(report);
  if (report.symbols)
    out += fmt::format("  stubs named for debuggers, {} of them with unwind tables\n",
                       report.framed_stubs);
  return out + exception_lines(report);
}

// That a file of somebody else's becomes one's own is what a copy does.
std::string lost_text(const Lost& lost, const std::string& output) {
  std::string out;
  if (lost.set_id)
    out += fmt::format(
        "sysrewrite: {}: its owner cannot be kept, and setuid and setgid bits are not "
        "another owner's: they are dropped\n",
        printable(output));
  if (lost.attributes)
    out += fmt::format("sysrewrite: {}: it has lost extended attributes that could not be kept\n",
                       printable(output));
  return out;
}

std::string report_json(const Report& report, const std::string& input, const std::string& output,
                        bool dry_run, const Lost& lost) {
  nlohmann::json out = {
      {"input", input},
      {"output", output},
      {"dry_run", dry_run},
      {"already_rewritten", report.already_rewritten},
      {"lost", {{"owner", lost.owner}, {"set_id", lost.set_id}, {"attributes", lost.attributes}}},
      {"input_size", report.input_size},
      {"output_size", report.output_size}};
  if (!report.already_rewritten) {
    out["kind"] = kind_text(report.kind);
    out["interpreter"] = report.interpreter;
    out["symbols"] = {{"named", report.symbols}, {"with_unwind_tables", report.framed_stubs}};
    out["trampoline"] = {{"address", report.trampoline.value}, {"size", report.trampoline_size}};
    out["tiers"] = {{"A", report.count(Tier::kInstruction)},
                    {"B", report.count(Tier::kSpringboard)},
                    {"C", report.count(Tier::kWindow)},
                    {"D", report.count(Tier::kTrap)},
                    {"native", report.count(Tier::kNative)}};
    out["candidates"] = {{"total", report.candidates.size()},
                         {"instruction", report.count(CandidateClass::kInstruction)},
                         {"inside", report.count(CandidateClass::kInside)},
                         {"data", report.count(CandidateClass::kData)},
                         {"uncertain", report.count(CandidateClass::kUncertain)}};
    out["sites"] = nlohmann::json::array();
    for (const SiteReport& site : report.sites) out["sites"].push_back(site_json(site));
    out["pairs"] = nlohmann::json::array();
    for (const auto& candidate : report.candidates)
      out["pairs"].push_back(candidate_json(candidate));
    out["other_calls"] = nlohmann::json::array();
    for (const auto& other : report.other_calls)
      out["other_calls"].push_back(candidate_json(other));
  }
  return out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string error_json(const Error& error, const std::string& input) {
  nlohmann::json out = {{"input", input}, {"error", error.message}};
  if (error.where) out["where"] = *error.where;
  return out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace sysrewrite
