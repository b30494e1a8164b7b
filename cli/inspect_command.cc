#include "cli/inspect_command.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/input_file.h"
#include "cli/inspection_json.h"
#include "cli/inspection_text.h"
#include "cli/messages.h"
#include "rewriter/selection.h"

namespace sysrewrite {

namespace {

// True where `wanted` names this place: by an address or a range, or by its symbol with or without
// the offset.
bool is_wanted(const std::string& wanted, Vaddr address, const std::string& symbol) {
  if (wanted.empty() || symbol == wanted) return true;
  const auto selector = parse_selector(wanted);
  if (!selector) return false;
  if (!selector->symbol.empty()) return symbol.substr(0, symbol.find('+')) == selector->symbol;
  return address >= selector->from && address < selector->to;
}

void keep_wanted(const std::string& wanted, Inspection& inspection) {
  std::erase_if(inspection.sites, [&](const InspectedSite& inspected) {
    return !is_wanted(wanted, inspected.site.address, inspected.symbol);
  });
  for (auto* pairs : {&inspection.pairs, &inspection.other_calls})
    std::erase_if(*pairs, [&](const InspectedPair& pair) {
      return !is_wanted(wanted, pair.pair.candidate.address, pair.symbol);
    });
}

Error no_such_site(const std::string& wanted) {
  return Error{ErrorCode::kOptions, std::nullopt,
               fmt::format("no system call is at '{}'; name one by its address (0x401000), a range "
                           "(0x401000-0x402000) or the function that holds it",
                           wanted)};
}

Result<Inspection> inspect_file(const InspectCommand& command, const std::string& path) {
  const auto file = InputFile::open(path);
  if (!file) return file.error();
  return inspect(file->bytes(), command.disassemble);
}

int print_details(const InspectCommand& command) {
  std::vector<InspectedFile> inspected;
  int status = 0;
  for (const std::string& path : command.files) {
    auto inspection = inspect_file(command, path);
    if (!inspection) {
      status = fail(path, inspection.error(), false);
      inspected.push_back({path, std::nullopt, inspection.error().message});
    } else {
      keep_wanted(command.site, *inspection);
      if (!command.site.empty() && inspection->sites.empty() && inspection->pairs.empty() &&
          inspection->other_calls.empty())
        status = fail(path, no_such_site(command.site), false);
      if (!command.json) print(stdout, inspection_text(path, *inspection));
      if (command.json) inspected.push_back({path, std::move(*inspection), {}});
    }
  }
  if (command.json) print_json(inspections_json(inspected));
  return status;
}

int print_summary(const InspectCommand& command) {
  Summary summary;
  for (const std::string& path : command.files) {
    const auto inspection = inspect_file(command, path);
    if (inspection)
      summary.add(path, *inspection);
    else
      summary.add(path, inspection.error());
  }
  if (command.json) print_json(summary_json(summary));
  if (!command.json) print(stdout, summary_text(summary));
  return summary.refused == 0 ? 0 : 1;
}

}  // namespace

int execute(const InspectCommand& command) {
  return command.summary ? print_summary(command) : print_details(command);
}

}  // namespace sysrewrite
