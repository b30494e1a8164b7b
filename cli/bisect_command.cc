#include "cli/bisect_command.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

#include "cli/descriptor.h"
#include "cli/input_file.h"
#include "cli/inspection_json.h"
#include "cli/messages.h"
#include "cli/run_command.h"
#include "cli/steady_lines.h"
#include "cli/trial.h"
#include "rewriter/pipeline.h"

// The sites that a run patches are s1 ... sn, in the order in which it came upon them: a program's
// own children are followed only where execve is patched, so whoever starts them stands in front.
// With none of them patched CMD does what it does natively, with all of them it does not. So there
// is a k for which s1 ... s(k-1) change nothing and s1 ... sk do, and halving finds one in log2(n)
// runs, whether sk is wrong by itself or only together with others. What counts as a difference is
// what does not differ between two native runs: of a command that prints the time in one line the
// others are compared.

namespace sysrewrite {

namespace {

struct PatchedSite {
  std::string file;
  Vaddr address;
};

Error cannot(std::string message) {
  return Error{ErrorCode::kOptions, std::nullopt, std::move(message)};
}

// What CMD leaves running finds no server any more once CMD has ended, and says so, or is ended
// before that. Such lines are not CMD's.
std::string without_notes(const std::string& said) {
  constexpr std::string_view kNote = "sysload: run: ";
  std::string out;
  for (size_t at = 0; at < said.size();) {
    const size_t end = std::min(said.find('\n', at), said.size() - 1) + 1;
    if (said.compare(at, kNote.size(), kNote) != 0) out.append(said, at, end - at);
    at = end;
  }
  return out;
}

class Bisection {
 public:
  explicit Bisection(const BisectCommand& command) : command_(command) {}

  Result<PatchedSite> find() {
    if (auto error = learn_native()) return *error;
    if (auto error = learn_sites()) return *error;
    say(fmt::format("{} sites are patched", sites_.size()));
    const auto none = differs(0);
    if (!none) return none.error();
    if (*none) return explain_difference_without_patches();
    const auto all = differs(sites_.size());
    if (!all) return all.error();
    if (!*all) return cannot(nothing_to_find());
    return halve();
  }

  size_t sites() const { return sites_.size(); }
  size_t runs() const { return runs_; }

 private:
  void say(const std::string& message) const {
    if (!command_.quiet) print(stderr, "sysrewrite: bisect: " + message + "\n");
  }

  // Who asked for quiet has not been told what was left out.
  std::string nothing_to_find() const {
    std::string message = "CMD does the same with every site patched: there is nothing to find";
    for (const std::string& note : unsteady_) message += "; " + note;
    return message;
  }

  // Two native runs may have agreed by chance.
  Error explain_difference_without_patches() {
    constexpr int kMoreRuns = 3;
    for (int i = 0; i < kMoreRuns; ++i) {
      const auto natively = run_natively();
      if (!natively) return natively.error();
      if (is_other(*natively))
        return cannot("CMD is not steady: natively it does now this, now that");
    }
    return cannot(
        "CMD does something else under sysrewrite with no site patched at all: the difference is "
        "not in a patch");
  }

  bool is_other(const TrialOutcome& outcome) const {
    return outcome.status != status_ || out_.differ_from(outcome.out) ||
           err_.differ_from(outcome.err);
  }

  Result<TrialOutcome> run_natively() {
    ++runs_;
    std::vector<char*> argv;
    for (const std::string& argument : command_.command)
      argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    const Descriptor refusal(memfd_create("refusal", MFD_CLOEXEC));
    auto outcome = try_out(
        [&argv, &refusal] {
          execvp(argv[0], argv.data());
          const int why = errno;
          return write(refusal.get(), &why, sizeof(why)) > 0 ? 127 : 126;
        },
        command_.timeout);
    int why = 0;
    if (outcome && pread(refusal.get(), &why, sizeof(why), 0) == sizeof(why))
      return system_error("cannot start", command_.command.front(), why);
    if (outcome && outcome->printed_too_much) return cannot("CMD prints more than 64 MiB natively");
    return outcome;
  }

  std::optional<Error> learn_native() {
    const auto once = run_natively();
    if (!once) return once.error();
    const auto again = run_natively();
    if (!again) return again.error();
    if (once->timed_out || again->timed_out)
      return cannot(fmt::format("CMD takes more than {} seconds natively; --timeout gives it more",
                                command_.timeout));
    if (once->status != again->status)
      return cannot(fmt::format("CMD is not steady: natively it returns {}, then {}", once->status,
                                again->status));
    status_ = once->status;
    out_ = SteadyLines(once->out, again->out);
    err_ = SteadyLines(once->err, again->err);
    for (std::string note : {out_.note("standard output"), err_.note("standard error")}) {
      if (note.empty()) continue;
      say(note);
      unsteady_.push_back(std::move(note));
    }
    return std::nullopt;
  }

  // Under `run`, with the first `count` of the known sites patched; all where none are known yet.
  Result<TrialOutcome> run_patched(size_t count, int list) {
    ++runs_;
    std::map<std::string, std::vector<SiteSelector>> chosen;
    for (size_t i = 0; i < std::min(count, sites_.size()); ++i)
      chosen[sites_[i].file].push_back({sites_[i].address, sites_[i].address + 1, {}});
    RunCommand run_command;
    run_command.command = command_.command;
    run_command.loader = command_.loader;
    run_command.quiet = true;
    run_command.select = [&](const std::string& path, Options& options) {
      options.uncertain = command_.options.uncertain;
      options.tiers = command_.options.tiers;
      if (list >= 0) return;
      const auto it = chosen.find(path);
      if (it != chosen.end())
        options.only = it->second;
      else
        options.exclude = {{{0}, {UINT64_MAX}, {}}};
    };
    run_command.rewritten = [list](const std::string& path, const Report& report) {
      if (list < 0) return;
      std::string lines;
      for (const SiteReport& site : report.sites)
        if (site.tier != Tier::kNative)
          lines += fmt::format("{:x} {}", site.address.value, path) + '\0';
      // A list that cannot be written is found short when it is read.
      static_cast<void>(write(list, lines.data(), lines.size()) > 0);
    };
    auto outcome = try_out([&run_command] { return execute(run_command); }, command_.timeout);
    if (outcome) outcome->err = without_notes(outcome->err);
    return outcome;
  }

  std::optional<Error> learn_sites() {
    const Descriptor list(memfd_create("sites", MFD_CLOEXEC));
    if (!list.valid()) return system_error("cannot create", "a memory file", errno);
    const auto outcome = run_patched(0, list.get());
    if (!outcome) return outcome.error();
    std::string text(static_cast<size_t>(std::max<off_t>(lseek(list.get(), 0, SEEK_END), 0)), '\0');
    if (pread(list.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
      return system_error("cannot read", "a memory file", errno);
    for (size_t at = 0; at < text.size();) {
      const std::string line = text.c_str() + at;
      at += line.size() + 1;
      const size_t space = line.find(' ');
      if (space == std::string::npos) continue;
      sites_.push_back({line.substr(space + 1), {std::strtoull(line.c_str(), nullptr, 16)}});
    }
    if (!sites_.empty()) return std::nullopt;
    return cannot(fmt::format("no site of CMD was patched; it returned {} and said: {}",
                              outcome->status, outcome->err.substr(0, outcome->err.find('\n'))));
  }

  Result<bool> differs(size_t count) {
    const auto outcome = run_patched(count, -1);
    if (!outcome) return outcome.error();
    const bool other = is_other(*outcome);
    say(fmt::format("with the first {}: {}", count, other ? "another outcome" : "as natively"));
    return other;
  }

  Result<PatchedSite> halve() {
    size_t good = 0, bad = sites_.size();
    while (bad - good > 1) {
      const size_t middle = good + (bad - good) / 2;
      const auto other = differs(middle);
      if (!other) return other.error();
      (*other ? bad : good) = middle;
    }
    const auto still_good = differs(good), still_bad = differs(bad);
    if (!still_good) return still_good.error();
    if (!still_bad) return still_bad.error();
    if (*still_good || !*still_bad)
      return cannot("CMD is not steady: the same sites patched gave another outcome");
    return sites_[bad - 1];
  }

  const BisectCommand& command_;
  // What CMD does natively.
  int status_ = 0;
  SteadyLines out_, err_;
  std::vector<std::string> unsteady_;  // what of it is not compared
  std::vector<PatchedSite> sites_;
  size_t runs_ = 0;
};

// The site as inspect shows it, patched the way it was patched in the runs.
Result<Inspection> look_at(const PatchedSite& site, const Options& options) {
  const auto file = InputFile::open(site.file);
  if (!file) return file.error();
  auto inspection = inspect(file->bytes(), true, options);
  if (inspection)
    std::erase_if(inspection->sites, [&site](const InspectedSite& inspected) {
      return inspected.site.address != site.address;
    });
  return inspection;
}

}  // namespace

int execute(const BisectCommand& command) {
  Bisection bisection(command);
  const auto site = bisection.find();
  const std::string& name = command.command.front();
  if (!site) return fail(name, site.error(), command.json);
  const auto inspection = look_at(*site, command.options);
  if (!inspection) return fail(site->file, inspection.error(), command.json);
  if (command.json) {
    print_json(found_json(site->file, *inspection, bisection.sites(), bisection.runs()));
    return 0;
  }
  print(stdout, fmt::format("{}: {:#x} of {} sites, found in {} runs\n", site->file,
                            site->address.value, bisection.sites(), bisection.runs()));
  print(stdout, code_text(*inspection));
  print(stdout,
        fmt::format("\nsysrewrite --exclude {:#x} leaves it native.\n", site->address.value));
  return 0;
}

}  // namespace sysrewrite
