#include "cli/batch_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "cli/arguments.h"
#include "cli/batch/batch_report.h"
#include "cli/batch/directory_cache.h"
#include "cli/batch/install_loader.h"
#include "cli/batch/output_tree.h"
#include "cli/batch/supervisor.h"
#include "cli/batch/tree_walk.h"
#include "cli/input_file.h"
#include "cli/loader_path.h"
#include "cli/messages.h"
#include "cli/printable.h"
#include "cli/privilege.h"
#include "cli/progress.h"

namespace sysrewrite {

namespace {

// Two caches of directories, and what is open of a file.
constexpr rlim_t kDescriptorsOfThread = 2 * DirectoryCache::kMostOpen + 8;
constexpr rlim_t kDescriptorsOfProcess = 32;

// As many threads as were asked for, and as there are descriptors for.
unsigned choose_threads(unsigned asked) {
  const unsigned wanted = asked != 0 ? asked : std::max(1U, std::thread::hardware_concurrency());
  struct rlimit limit {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  const rlim_t needed = kDescriptorsOfProcess + wanted * kDescriptorsOfThread;
  if (limit.rlim_cur < needed) {
    limit.rlim_cur = std::min(limit.rlim_max, needed);
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  const rlim_t free = limit.rlim_cur - std::min(limit.rlim_cur, kDescriptorsOfProcess);
  return std::clamp(static_cast<unsigned>(std::min<rlim_t>(wanted, free / kDescriptorsOfThread)),
                    1U, wanted);
}

// What of the new interpreter's path others than root could replace: in the tree, which is taken
// for a root file system, and where the tree does not have it, here.
std::optional<std::string> replaceable_interpreter(int source, const BatchCommand& command) {
  if (!command.options.interpreter) return std::nullopt;
  const std::string& path = *command.options.interpreter;
  bool missing = false;
  if (auto part = replaceable_part_in(source, path, &missing)) return part;
  if (command.install_loader) return geteuid() == 0 ? std::nullopt : std::optional(path);
  return missing ? replaceable_part(path) : std::nullopt;
}

class Batch {
 public:
  Batch(const BatchCommand& command, int source, const OutputTree* target, const InputFile* loader)
      : command_(command), source_(source), target_(target), loader_(loader) {}

  // In the process whose traces go away with it.
  int run() {
    umask(077);
    const auto begun = std::chrono::steady_clock::now();
    WalkOptions walk;
    walk.one_file_system = command_.one_file_system;
    if (target_ != nullptr) walk.leave_out = target_->status();
    const auto manifest = walk_tree(source_, command_.input, walk);
    if (!manifest) return refuse(manifest.error());
    const CopyPlan plan = plan_copy(*manifest);
    const FateRules rules{command_.options, replaceable_interpreter(source_, command_)};
    const CopyJob job{*manifest,
                      plan,
                      rules,
                      source_,
                      target_ == nullptr ? -1 : target_->root(),
                      command_.input,
                      choose_threads(command_.jobs)};
    auto result = copy(job);
    if (!result) return refuse(result.error());
    BatchOutcome outcome{*manifest, plan, *result, {}, 0};
    if (command_.strict && outcome.count(FileStatus::kRefused) != 0)
      return refuse_strictly(outcome);
    if (auto error = finish(job, *result, outcome.installation)) return refuse(*error);
    outcome.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    report(outcome);
    return static_cast<int>(outcome.incomplete() ? ExitStatus::kIncomplete : ExitStatus::kDone);
  }

 private:
  int refuse(const Error& error) const { return fail(command_.input, error, command_.json); }

  int refuse_strictly(const BatchOutcome& outcome) const {
    for (const ElfResult& file : outcome.result.elf_files)
      if (file.status == FileStatus::kRefused)
        print(stderr,
              fmt::format("sysrewrite: {}: {}\n",
                          printable(command_.input + "/" + outcome.manifest.path(file.entry)),
                          file.reason));
    const Error error{ErrorCode::kUnsupportedFile, std::nullopt,
                      fmt::format("{} files cannot be rewritten (--strict)",
                                  outcome.count(FileStatus::kRefused))};
    if (command_.json) print_json(batch_json(command_, outcome, error.message));
    return fail(command_.input, error, false);
  }

  Result<CopyResult> copy(const CopyJob& job) const {
    if (job.target >= 0)
      if (auto error = make_folders(job)) return *error;
    CopyProgress progress;
    const ProgressBar bar(progress.bytes, progress.files, {job.plan.bytes, job.plan.files.size()},
                          !command_.quiet);
    return copy_files(job, progress);
  }

  std::optional<Error> finish(const CopyJob& job, CopyResult& result,
                              Installation& installation) const {
    if (target_ == nullptr) return std::nullopt;
    if (auto error = make_links(job)) return error;
    if (loader_ != nullptr) {
      auto installed = install_loader(job, result, *loader_, *command_.options.interpreter);
      if (!installed) return installed.error();
      installation = std::move(*installed);
    }
    if (auto error = finish_folders(job, result)) return error;
    return target_->publish();
  }

  void report(const BatchOutcome& outcome) const {
    if (command_.json) print_json(batch_json(command_, outcome, {}));
    if (!command_.json && !command_.quiet) print(stderr, batch_text(command_, outcome));
  }

  const BatchCommand& command_;
  const int source_;
  const OutputTree* target_;  // null: nothing is written
  const InputFile* loader_;   // null: not to be installed
};

Result<InputFile> open_loader(const BatchCommand& command) {
  const std::string path = loader_path(command.loader);
  auto loader = InputFile::open(path);
  if (loader && !is_sysload(loader->bytes()))
    return Error{ErrorCode::kOptions, std::nullopt, fmt::format("{} is not sysload", path)};
  return loader;
}

}  // namespace

int execute(const BatchCommand& command) {
  const Descriptor source(open(command.input.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!source.valid())
    return fail(command.input, system_error("cannot open the directory", command.input, errno),
                command.json);
  std::optional<InputFile> loader;
  if (command.install_loader) {
    auto opened = open_loader(command);
    if (!opened) return fail(command.input, opened.error(), command.json);
    loader.emplace(std::move(*opened));
  }
  // What it takes to remove a tree that ran out of memory. Read by nobody.
  constexpr size_t kReserve = 1 << 20;
  auto reserve = std::make_unique_for_overwrite<std::byte[]>(kReserve);
  std::optional<OutputTree> target;
  if (!command.dry_run) {
    auto made = OutputTree::create(source.get(), command.output);
    if (!made) return fail(command.output, made.error(), command.json);
    target.emplace(std::move(*made));
  }
  const auto work = [&] {
    return Batch(command, source.get(), target ? &*target : nullptr, loader ? &*loader : nullptr)
        .run();
  };
  const auto clean_up = [&target, &reserve] {
    reserve.reset();
    if (!target) return;
    if (const auto error = target->remove()) print(stderr, "sysrewrite: " + error->message + "\n");
  };
  return supervise(work, clean_up);
}

}  // namespace sysrewrite
