#include "cli/inspection_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/report_text.h"

namespace sysrewrite {

namespace {

using Json = nlohmann::json;

Json lines_json(const std::vector<CodeLine>& lines) {
  Json out = Json::array();
  for (const CodeLine& line : lines) {
    std::string bytes;
    for (const std::byte byte : line.bytes)
      bytes += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
    out.push_back({{"address", line.address.value}, {"bytes", bytes}, {"text", line.text}});
  }
  return out;
}

Json site_json(const InspectedSite& inspected) {
  const SiteReport& site = inspected.site;
  Json out = {{"address", site.address.value},
              {"symbol", inspected.symbol},
              {"tier", std::string(1, static_cast<char>(site.tier))},
              {"reason", reason_text(site.reason)},
              {"evidence", evidence_text(site.evidence)}};
  if (site.tier != Tier::kNative) {
    out["window"] = {{"address", site.window.value}, {"size", site.window_size}};
    out["stub"] = site.stub.value;
  }
  if (site.springboard) out["springboard"] = site.springboard->value;
  if (inspected.before.empty()) return out;
  out["code"] = {{"before", lines_json(inspected.before)},
                 {"after", lines_json(inspected.after)},
                 {"springboard", lines_json(inspected.springboard)},
                 {"stub", lines_json(inspected.stub)}};
  return out;
}

Json pair_json(const InspectedPair& pair) {
  const ClassifiedCandidate& found = pair.pair;
  return {{"address", found.candidate.address.value},
          {"pair", pair_text(found.candidate.kind)},
          {"class", class_text(found.kind)},
          {"evidence", evidence_text(found.evidence)},
          {"instruction", found.holder ? Json(found.holder->value) : Json()},
          {"symbol", pair.symbol}};
}

Json tiers_json(const std::array<size_t, 5>& tiers) {
  Json out;
  for (size_t i = 0; i < kTiers.size(); ++i)
    out[kTiers[i] == Tier::kNative ? "native" : std::string(1, static_cast<char>(kTiers[i]))] =
        tiers[i];
  return out;
}

Json file_json(const InspectedFile& file) {
  if (!file.inspection) return {{"file", file.path}, {"error", file.refusal}};
  const Inspection& in = *file.inspection;
  Summary summary;
  summary.add(file.path, in);
  const SummaryRow& row = summary.total;
  Json out = {{"file", file.path},
              {"rewritten", in.rewritten},
              {"kind", kind_text(in.kind)},
              {"input_size", in.input_size},
              {"output_size", in.output_size},
              {"interpreter", in.interpreter},
              {"options", in.loader_options},
              {"format", in.format == Format::kLitebox ? "litebox" : "sysrewrite"},
              {"stub", in.stub == StubKind::kPlain ? "plain" : "redzone"},
              {"native_tail", in.native_tail},
              {"embedded", in.embedded},
              {"changed_since", in.changed_since},
              {"symbols", in.symbols},
              {"trampoline", {{"address", in.trampoline.value}, {"size", in.trampoline_size}}},
              {"tiers", tiers_json(row.tiers)},
              {"candidates",
               {{"total", row.pairs},
                {"instruction", in.count(CandidateClass::kInstruction)},
                {"inside", row.inside},
                {"data", row.data},
                {"uncertain", row.uncertain}}}};
  out["sites"] = out["pairs"] = out["other_calls"] = Json::array();
  for (const InspectedSite& site : in.sites) out["sites"].push_back(site_json(site));
  for (const InspectedPair& pair : in.pairs) out["pairs"].push_back(pair_json(pair));
  for (const InspectedPair& pair : in.other_calls) out["other_calls"].push_back(pair_json(pair));
  return out;
}

Json row_json(const SummaryRow& row) {
  return {{"tiers", tiers_json(row.tiers)},
          {"candidates",
           {{"total", row.pairs},
            {"inside", row.inside},
            {"data", row.data},
            {"uncertain", row.uncertain}}}};
}

std::string dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string inspections_json(const std::vector<InspectedFile>& files) {
  if (files.size() == 1) return dump(file_json(files[0]));
  Json out = Json::array();
  for (const InspectedFile& file : files) out.push_back(file_json(file));
  return dump(out);
}

std::string found_json(const std::string& path, const Inspection& inspection, size_t sites,
                       size_t runs) {
  Json out = {{"file", path}, {"sites", sites}, {"runs", runs}};
  for (const InspectedSite& site : inspection.sites) out["site"] = site_json(site);
  return dump(out);
}

std::string summary_json(const Summary& summary) {
  Json files = Json::array();
  for (const SummaryRow& row : summary.rows) {
    Json one = row.refusal.empty() ? row_json(row) : Json{{"error", row.refusal}};
    one["file"] = row.path;
    if (row.refusal.empty()) one["rewritten"] = row.rewritten;
    files.push_back(std::move(one));
  }
  Json out = {{"files", std::move(files)}, {"total", row_json(summary.total)}};
  out["total"]["files"] = summary.rows.size() - summary.refused;
  out["total"]["refused"] = summary.refused;
  return dump(out);
}

}  // namespace sysrewrite
