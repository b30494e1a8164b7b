#include "cli/inspection_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/printable.h"
#include "cli/report_text.h"
#include "cli/table.h"

namespace sysrewrite {

namespace {

std::string hex(Vaddr address) {
  return fmt::format("{:#x}", address.value);
}

std::string or_dash(const std::string& text) {
  return text.empty() ? "-" : text;
}

std::string bytes_text(const std::vector<std::byte>& bytes) {
  std::string out;
  for (const std::byte byte : bytes)
    out += fmt::format("{}{:02x}", out.empty() ? "" : " ", std::to_integer<unsigned>(byte));
  return out;
}

size_t pair_count(const Inspection& in) {
  size_t sum = 0;
  for (const auto& [kind, count] : in.classes) sum += count;
  return sum;
}

std::string head_text(const std::string& path, const Inspection& in) {
  std::string out = fmt::format("{}: {}, ", printable(path), kind_text(in.kind));
  if (!in.rewritten)
    out += fmt::format("{} bytes, not rewritten; a rewrite would make\n", in.input_size);
  else
    out += fmt::format("rewritten, {} -> {} bytes, format {}, {} stubs{}\n", in.input_size,
                       in.output_size, in.format == Format::kLitebox ? "litebox" : "sysrewrite",
                       in.stub == StubKind::kPlain ? "plain" : "redzone",
                       in.native_tail ? " with native tails" : "");
  if (in.embedded) out += "  the trampoline is a segment, which strip and objcopy keep\n";
  if (in.changed_since)
    out += "  headers or sections were written anew since (strip, objcopy): no restore\n";
  size_t sites = 0;
  std::string tiers;
  for (const Tier tier : kTiers) {
    sites += in.count(tier);
    tiers +=
        fmt::format("{}{} {}", tiers.empty() ? "" : ", ", in.count(tier),
                    tier == Tier::kNative ? "native" : std::string(1, static_cast<char>(tier)));
  }
  out += fmt::format("  {} sites: {}\n", sites, tiers);
  out += fmt::format(
      "  {} `0f 05` pairs: {} instructions, {} inside others, {} data, {} uncertain\n",
      in.pairs.size(), in.count(CandidateClass::kInstruction), in.count(CandidateClass::kInside),
      in.count(CandidateClass::kData), in.count(CandidateClass::kUncertain));
  if (in.trampoline_size != 0)
    out += fmt::format("  trampoline: {} bytes at {}\n", in.trampoline_size, hex(in.trampoline));
  if (in.symbols) out += "  its section headers name the stubs (--symbols)\n";
  if (!in.interpreter.empty()) out += fmt::format("  started by {}\n", in.interpreter);
  for (const std::string& option : in.loader_options) out += fmt::format("  option {}\n", option);
  return out;
}

// A word for the table; the sentence is in the JSON.
const char* short_evidence(CandidateEvidence evidence) {
  switch (evidence) {
    case CandidateEvidence::kFunctionDecode:
      return "function";
    case CandidateEvidence::kAgreementDecode:
      return "agreement";
    default:
      return "none";
  }
}

std::string sites_text(const Inspection& in) {
  Table table(
      {">SITE", "TIER", ">WINDOW", ">STUB", ">SPRINGBOARD", "DECODED BY", "SYMBOL", "REASON"});
  for (const InspectedSite& inspected : in.sites) {
    const SiteReport& site = inspected.site;
    const bool native = site.tier == Tier::kNative;
    table.add({hex(site.address), std::string(1, static_cast<char>(site.tier)),
               native ? "-" : fmt::format("{}+{}", hex(site.window), site.window_size),
               native ? "-" : hex(site.stub), site.springboard ? hex(*site.springboard) : "-",
               short_evidence(site.evidence), or_dash(inspected.symbol), reason_text(site.reason)});
  }
  return table.empty() ? "" : "\n" + table.text();
}

std::string pairs_text(const Inspection& in) {
  Table table({">NO SITE", "PAIR", "CLASS", "SYMBOL", "EVIDENCE"});
  const auto add = [&table](const InspectedPair& pair) {
    table.add({hex(pair.pair.candidate.address), pair_text(pair.pair.candidate.kind),
               class_text(pair.pair.kind), or_dash(pair.symbol),
               evidence_text(pair.pair.evidence)});
  };
  for (const InspectedPair& pair : in.pairs)
    if (pair.pair.kind != CandidateClass::kInstruction) add(pair);
  for (const InspectedPair& pair : in.other_calls) add(pair);
  return table.empty() ? "" : "\n" + table.text();
}

std::string line_text(const CodeLine& line, size_t width) {
  return fmt::format("{:x}:  {:<{}}  {}", line.address.value, bytes_text(line.bytes), width,
                     line.text);
}

size_t widest(const std::vector<CodeLine>& lines) {
  size_t most = 0;
  for (const CodeLine& line : lines) most = std::max(most, line.bytes.size());
  return most == 0 ? 0 : 3 * most - 1;
}

// Before on the left, after on the right, as many lines as the longer of both.
std::string window_text(const InspectedSite& site) {
  std::vector<std::string> left, right;
  for (const CodeLine& line : site.before) left.push_back(line_text(line, widest(site.before)));
  for (const CodeLine& line : site.after) right.push_back(line_text(line, widest(site.after)));
  size_t width = 0;
  for (const std::string& line : left) width = std::max(width, line.size());
  std::string out;
  for (size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
    std::string line = fmt::format("  {:<{}}    {}", i < left.size() ? left[i] : "", width,
                                   i < right.size() ? right[i] : "");
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

}  // namespace

std::string code_text(const Inspection& in) {
  std::string out;
  for (const InspectedSite& inspected : in.sites) {
    if (inspected.before.empty()) continue;
    const SiteReport& site = inspected.site;
    out += fmt::format("\n{} <{}> tier {}: {}\n", hex(site.address), or_dash(inspected.symbol),
                       static_cast<char>(site.tier), reason_text(site.reason));
    out += window_text(inspected);
    for (const CodeLine& line : inspected.springboard)
      out += fmt::format("  springboard {}\n", line_text(line, 14));
    const size_t width = widest(inspected.stub);
    if (!inspected.stub.empty()) out += "  stub\n";
    for (const CodeLine& line : inspected.stub)
      out += fmt::format("    {}\n", line_text(line, width));
  }
  return out;
}

std::string inspection_text(const std::string& path, const Inspection& inspection) {
  return head_text(path, inspection) + sites_text(inspection) + pairs_text(inspection) +
         code_text(inspection);
}

void Summary::add(const std::string& path, const Inspection& inspection) {
  SummaryRow row;
  row.path = path;
  row.rewritten = inspection.rewritten;
  for (size_t i = 0; i < kTiers.size(); ++i)
    total.tiers[i] += row.tiers[i] = inspection.count(kTiers[i]);
  total.pairs += row.pairs = pair_count(inspection);
  total.inside += row.inside = inspection.count(CandidateClass::kInside);
  total.data += row.data = inspection.count(CandidateClass::kData);
  total.uncertain += row.uncertain = inspection.count(CandidateClass::kUncertain);
  rows.push_back(std::move(row));
}

void Summary::add(const std::string& path, const Error& error) {
  SummaryRow row;
  row.path = path;
  row.refusal = error.message;
  rows.push_back(std::move(row));
  ++refused;
}

std::string summary_text(const Summary& summary) {
  Table table({"STATE", ">A", ">B", ">C", ">D", ">NATIVE", ">PAIRS", ">INSIDE", ">DATA",
               ">UNCERTAIN", "FILE"});
  const auto add = [&table](const char* state, const SummaryRow& row) {
    std::vector<std::string> words = {state};
    for (const size_t count : row.tiers) words.push_back(std::to_string(count));
    for (const size_t count : {row.pairs, row.inside, row.data, row.uncertain})
      words.push_back(std::to_string(count));
    words.push_back(row.path);
    table.add(std::move(words));
  };
  std::string refusals;
  for (const SummaryRow& row : summary.rows) {
    if (row.refusal.empty())
      add(row.rewritten ? "rewritten" : "input", row);
    else
      refusals +=
          fmt::format("  refused: {}: {}\n", printable(row.path), printable_line(row.refusal));
  }
  SummaryRow total = summary.total;
  total.path = fmt::format("{} files", summary.rows.size() - summary.refused);
  add("total", total);
  return table.text() + refusals;
}

}  // namespace sysrewrite
