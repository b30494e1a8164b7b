#include "cli/batch/batch_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli/printable.h"
#include "cli/table.h"

namespace sysrewrite {

namespace {

constexpr size_t kMostLines = 20;

// Numbers and names differ from file to file; what is left is the reason.
std::string kind_of_reason(const std::string& reason) {
  std::string out;
  bool quoted = false;
  for (const char letter : reason) {
    const bool digit = letter >= '0' && letter <= '9';
    if (letter == '\'') quoted = !quoted;
    if (quoted || (digit && !out.empty() && out.back() == '#')) continue;
    out += digit ? '#' : letter;
  }
  return out;
}

std::string path_of(const BatchOutcome& outcome, uint32_t entry) {
  return printable(outcome.manifest.path(entry));
}

std::string entry_line(const BatchOutcome& outcome) {
  size_t regular = 0, links = 0, others = 0;
  for (const uint32_t entry : outcome.plan.files) {
    const mode_t mode = outcome.manifest.entries[entry].status.st_mode;
    ++(S_ISREG(mode) ? regular : S_ISLNK(mode) ? links : others);
  }
  return fmt::format(
      "  {} files, {} directories, {} symbolic links, {} devices, pipes and sockets, "
      "{} further hard links\n",
      regular, outcome.plan.folders.size(), links, others, outcome.plan.links.size());
}

std::string file_table(const BatchOutcome& outcome) {
  struct Row {
    FileStatus status;
    const char* what;
  };
  constexpr Row kRows[] = {{FileStatus::kRewritten, "rewritten"},
                           {FileStatus::kAlready, "rewritten before, kept"},
                           {FileStatus::kExempt, "nothing to rewrite, kept"},
                           {FileStatus::kRefused, "refused, kept"}};
  Table table({"ELF files", ">files", ">bytes", ">became"});
  uint64_t all_input = 0, all_output = 0;
  for (const Row& row : kRows) {
    uint64_t input = 0, output = 0;
    for (const ElfResult& file : outcome.result.elf_files) {
      if (file.status != row.status) continue;
      input += file.input_size;
      output += file.output_size;
    }
    all_input += input;
    all_output += output;
    table.add({row.what, std::to_string(outcome.count(row.status)), std::to_string(input),
               std::to_string(output)});
  }
  table.add({"all", std::to_string(outcome.result.elf_files.size()), std::to_string(all_input),
             std::to_string(all_output)});
  return table.text();
}

std::string site_line(const BatchOutcome& outcome) {
  std::array<size_t, kTiers.size()> sums{};
  size_t pairs = 0, uncertain = 0, others = 0;
  for (const ElfResult& file : outcome.result.elf_files) {
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += file.tiers[i];
    pairs += file.pairs;
    uncertain += file.uncertain;
    others += file.other_calls;
  }
  std::string out = fmt::format(
      "  sites: {} tier A, {} B, {} C, {} D (by a trap), {} left native; of {} `0f 05` pairs {} "
      "are "
      "uncertain\n",
      sums[0], sums[1], sums[2], sums[3], sums[4], pairs, uncertain);
  if (others != 0)
    out +=
        fmt::format("  {} int $0x80 and sysenter left alone: only syscall is redirected\n", others);
  return out;
}

// Each reason once, with the first file that it was given for.
std::string reason_lines(const BatchOutcome& outcome) {
  std::map<std::string, std::pair<size_t, const ElfResult*>> reasons;
  for (const ElfResult& file : outcome.result.elf_files) {
    if (file.reason.empty()) continue;
    auto& item = reasons.try_emplace(kind_of_reason(file.reason), 0, &file).first->second;
    ++item.first;
  }
  std::string out;
  size_t shown = 0;
  for (const auto& [kind, item] : reasons) {
    if (++shown > kMostLines) break;
    out += fmt::format("  kept {:>5}, as {}: {}\n", item.first,
                       path_of(outcome, item.second->entry), item.second->reason);
  }
  if (reasons.size() > kMostLines)
    out += fmt::format("  ... and {} more reasons (--json lists them all)\n",
                       reasons.size() - kMostLines);
  return out;
}

std::string native_lines(const BatchOutcome& outcome) {
  std::string out;
  size_t shown = 0, all = 0;
  for (const ElfResult& file : outcome.result.elf_files) {
    if (!file.incomplete || ++all > kMostLines) continue;
    ++shown;
    out += fmt::format("  {}: {} sites left native, {} pairs uncertain and left alone\n",
                       path_of(outcome, file.entry), file.tiers.back(), file.uncertain);
  }
  if (all > shown)
    out += fmt::format("  ... and {} more files (--json lists them all)\n", all - shown);
  return out;
}

std::string lost_lines(const BatchOutcome& outcome) {
  size_t owners = 0, attributes = 0;
  std::string capabilities;
  for (const auto& [entry, lost] : outcome.result.lost) {
    owners += lost.owner ? 1 : 0;
    attributes += lost.attributes ? 1 : 0;
    if (lost.capabilities)
      capabilities += fmt::format("  {} has lost its capabilities\n", path_of(outcome, entry));
  }
  std::string out;
  if (owners != 0)
    out += fmt::format("  {} entries have another owner, and no setuid: only root may give them\n",
                       owners);
  if (attributes != 0)
    out += fmt::format("  {} entries have lost extended attributes that could not be read or set\n",
                       attributes);
  return out + capabilities;
}

// What is still to be done before programs in the tree can start.
std::string loader_lines(const BatchCommand& command, const BatchOutcome& outcome) {
  std::string out;
  for (const std::string& path : outcome.installation.places)
    out += fmt::format("  sysload stands at {}\n", printable(path));
  for (const uint32_t entry : outcome.installation.without)
    out += fmt::format(
        "  {} is a rewritten ld.so without sysload in its place:\n"
        "    no program of this tree leads to it; where it belongs to a root file system of its "
        "own,\n"
        "    rewrite that by itself first\n",
        path_of(outcome, entry));
  if (command.install_loader || !command.options.interpreter) return out;
  bool programs = false;
  for (const ElfResult& file : outcome.result.elf_files) {
    if (file.status != FileStatus::kRewritten) continue;
    programs = programs || file.start != StartChange::kNone;
    if (file.kind != ImageKind::kInterpreter) continue;
    out += fmt::format(
        "  {} is a rewritten ld.so: where programs name it, sysload belongs in its place, and it\n"
        "    beside that with the suffix .rewritten, or programs that were kept will crash\n",
        path_of(outcome, file.entry));
  }
  if (programs)
    out += fmt::format("  programs of this tree start by {}: sysload belongs there\n",
                       *command.options.interpreter);
  if (!out.empty()) out += "  (--install-sysload does this, where DIR is a root file system)\n";
  return out;
}

}  // namespace

bool BatchOutcome::incomplete() const {
  return std::any_of(result.elf_files.begin(), result.elf_files.end(),
                     [](const ElfResult& file) { return file.incomplete; });
}

size_t BatchOutcome::count(FileStatus status) const {
  return static_cast<size_t>(
      std::count_if(result.elf_files.begin(), result.elf_files.end(),
                    [status](const ElfResult& file) { return file.status == status; }));
}

std::string batch_text(const BatchCommand& command, const BatchOutcome& outcome) {
  return fmt::format("{} -> {}, {:.1f} s\n", printable(command.input),
                     command.dry_run ? "nothing written (--dry-run)" : printable(command.output),
                     outcome.seconds) +
         entry_line(outcome) + file_table(outcome) + site_line(outcome) + reason_lines(outcome) +
         native_lines(outcome) + lost_lines(outcome) + loader_lines(command, outcome);
}

}  // namespace sysrewrite
