#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/batch/batch_report.h"
#include "cli/report_text.h"

namespace sysrewrite {

namespace {

using Json = nlohmann::json;

const char* status_text(FileStatus status) {
  switch (status) {
    case FileStatus::kRewritten:
      return "rewritten";
    case FileStatus::kAlready:
      return "already_rewritten";
    case FileStatus::kExempt:
      return "exempt";
    case FileStatus::kRefused:
      return "refused";
  }
  return "";
}

Json tiers_json(const std::array<size_t, kTiers.size()>& tiers) {
  return {{"A", tiers[0]}, {"B", tiers[1]}, {"C", tiers[2]}, {"D", tiers[3]}, {"native", tiers[4]}};
}

// JSON has no bytes: a name that is no UTF-8 is also given in hexadecimal.
void add_path(Json& out, const std::string& path) {
  out["path"] = path;
  const auto how = nlohmann::json::error_handler_t::ignore;
  if (Json(path).dump(-1, ' ', false, how) ==
      Json(path).dump(-1, ' ', false, Json::error_handler_t::replace))
    return;
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char letter : path) {
    hex += kDigits[static_cast<uint8_t>(letter) >> 4];
    hex += kDigits[static_cast<uint8_t>(letter) & 15];
  }
  out["path_hex"] = hex;
}

Json file_json(const ElfResult& file, const std::vector<std::string>& names) {
  Json out = {{"status", status_text(file.status)},
              {"input_size", file.input_size},
              {"output_size", file.output_size},
              {"links", std::vector<std::string>(names.begin() + 1, names.end())}};
  add_path(out, names.front());
  if (!file.reason.empty()) out["reason"] = file.reason;
  if (file.status != FileStatus::kRewritten) return out;
  out["kind"] = kind_text(file.kind);
  out["tiers"] = tiers_json(file.tiers);
  out["candidates"] = {{"total", file.pairs}, {"uncertain", file.uncertain}};
  out["other_calls"] = file.other_calls;
  out["incomplete"] = file.incomplete;
  return out;
}

Json lost_json(const BatchOutcome& outcome) {
  Json out = Json::array();
  for (const auto& [entry, lost] : outcome.result.lost) {
    Json item = {{"owner", lost.owner},
                 {"attributes", lost.attributes},
                 {"capabilities", lost.capabilities}};
    add_path(item, outcome.manifest.path(entry));
    out.push_back(std::move(item));
  }
  std::sort(out.begin(), out.end(),
            [](const Json& a, const Json& b) { return a["path"] < b["path"]; });
  return out;
}

}  // namespace

std::string batch_json(const BatchCommand& command, const BatchOutcome& outcome,
                       const std::string& error) {
  std::map<uint32_t, std::vector<std::string>> names;
  for (const ElfResult& file : outcome.result.elf_files)
    names[file.entry].push_back(outcome.manifest.path(file.entry));
  for (const auto& [entry, of] : outcome.plan.links)
    if (const auto found = names.find(of); found != names.end())
      found->second.push_back(outcome.manifest.path(entry));
  std::map<std::string, Json> files;
  std::array<size_t, kTiers.size()> tiers{};
  for (const ElfResult& file : outcome.result.elf_files) {
    auto& all = names[file.entry];
    std::sort(all.begin(), all.end());
    files.emplace(all.front(), file_json(file, all));
    for (size_t i = 0; i < tiers.size(); ++i) tiers[i] += file.tiers[i];
  }
  Json out = {{"input", command.input},
              {"output", command.output},
              {"dry_run", command.dry_run},
              {"entries", outcome.manifest.entries.size()},
              {"elf_files", outcome.result.elf_files.size()},
              {"rewritten", outcome.count(FileStatus::kRewritten)},
              {"already_rewritten", outcome.count(FileStatus::kAlready)},
              {"exempt", outcome.count(FileStatus::kExempt)},
              {"refused", outcome.count(FileStatus::kRefused)},
              {"incomplete", outcome.incomplete()},
              {"tiers", tiers_json(tiers)},
              {"sysload", outcome.installation.places},
              {"ld_so_without_sysload", Json::array()},
              {"lost", lost_json(outcome)},
              {"files", Json::array()}};
  if (!error.empty()) out["error"] = error;
  for (const uint32_t entry : outcome.installation.without) {
    Json item = Json::object();
    add_path(item, outcome.manifest.path(entry));
    out["ld_so_without_sysload"].push_back(std::move(item));
  }
  for (auto& [path, file] : files) out["files"].push_back(std::move(file));
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace sysrewrite
