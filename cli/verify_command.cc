#include "cli/verify_command.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/input_file.h"
#include "cli/messages.h"
#include "cli/printable.h"
#include "rewriter/verify.h"

namespace sysrewrite {

namespace {

std::string proof_text(const VerifyCommand& command, const Verdict& verdict) {
  std::string out =
      fmt::format("{}: proven{}{}\n", printable(command.rewritten),
                  command.original.empty() ? "" : " against ", printable(command.original));
  out += fmt::format(
      "  {} sites: {} covered (A), {} by springboard (B), {} windows (C), "
      "{} trapped (D), {} native\n",
      verdict.sites(), verdict.covered, verdict.sprung, verdict.windowed, verdict.trapped,
      verdict.native);
  out += fmt::format(
      "  of {} `0f 05` pairs {} lie inside other instructions, {} are data, {} are "
      "uncertain and were left alone\n",
      verdict.candidates, verdict.inside, verdict.data, verdict.uncertain);
  if (verdict.unvouched != 0)
    out += fmt::format(
        "  {} of the sites may be data (--uncertain patches such): neither control flow leads "
        "there, nor do decodes agree\n",
        verdict.unvouched);
  if (verdict.changed_since)
    out +=
        "  headers or sections were written anew since it was rewritten (strip, objcopy), and are "
        "not compared\n";
  return out;
}

// One line for each finding, the first twenty: what is wrong in one place is often wrong in many.
std::string refusal_text(const VerifyCommand& command, const Verdict& verdict) {
  constexpr size_t kMost = 20;
  std::string out;
  size_t shown = 0;
  for (const Finding& finding : verdict.findings.first()) {
    if (shown++ == kMost) break;
    out += fmt::format("sysrewrite: {}: {}\n", printable(command.rewritten), describe(finding));
  }
  if (verdict.findings.count() > kMost)
    out += fmt::format("sysrewrite: {}: ... and {} more\n", printable(command.rewritten),
                       verdict.findings.count() - kMost);
  return out;
}

std::string as_json(const VerifyCommand& command, const Verdict& verdict) {
  nlohmann::json out = {{"rewritten", command.rewritten},
                        {"proven", verdict.proven()},
                        {"changed_since", verdict.changed_since},
                        {"input_size", verdict.input_size},
                        {"stub_bytes", verdict.stub_bytes},
                        {"tiers",
                         {{"A", verdict.covered},
                          {"B", verdict.sprung},
                          {"C", verdict.windowed},
                          {"D", verdict.trapped},
                          {"native", verdict.native}}},
                        {"unvouched", verdict.unvouched},
                        {"candidates",
                         {{"total", verdict.candidates},
                          {"inside", verdict.inside},
                          {"data", verdict.data},
                          {"uncertain", verdict.uncertain}}},
                        {"finding_count", verdict.findings.count()}};
  if (!command.original.empty()) out["against"] = command.original;
  out["findings"] = nlohmann::json::array();
  for (const Finding& finding : verdict.findings.first())
    out["findings"].push_back(
        {{finding.space == Finding::Space::kFile ? "offset" : "address", finding.where},
         {"what", finding.what},
         {"found", finding.found},
         {"expected", finding.expected}});
  return out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

int execute(const VerifyCommand& command) {
  const auto rewritten = InputFile::open(command.rewritten);
  if (!rewritten) return fail(command.rewritten, rewritten.error(), command.json);
  std::optional<InputFile> original;
  if (!command.original.empty()) {
    auto opened = InputFile::open(command.original);
    if (!opened) return fail(command.original, opened.error(), command.json);
    original.emplace(std::move(*opened));
  }
  const Verdict verdict =
      verify(rewritten->bytes(), original ? std::optional(original->bytes()) : std::nullopt);
  if (command.json) print_json(as_json(command, verdict));
  if (!verdict.proven())
    print(stderr, refusal_text(command, verdict));
  else if (!command.json && !command.quiet)
    print(stderr, proof_text(command, verdict));
  return verdict.proven() ? 0 : 1;
}

}  // namespace sysrewrite
