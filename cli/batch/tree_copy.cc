#include "cli/batch/tree_copy.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <map>
#include <mutex>
#include <new>
#include <thread>

#include "cli/batch/entry_copy.h"

namespace sysrewrite {

namespace {

// What the threads share.
class Work {
 public:
  Work(const CopyJob& job, CopyProgress& progress) : job_(job), progress_(progress) {}

  // As one of the threads, until nothing is left to do.
  void run() {
    try {
      copy();
    } catch (const std::bad_alloc&) {
      out_of_memory_.store(true);
      failed_.store(true);
    }
  }

  Result<CopyResult> result() {
    if (!errors_.empty()) return errors_.begin()->second;
    if (out_of_memory_.load()) return system_error("cannot copy", job_.source_name, ENOMEM);
    std::sort(all_.elf_files.begin(), all_.elf_files.end(),
              [](const ElfResult& a, const ElfResult& b) { return a.entry < b.entry; });
    return std::move(all_);
  }

 private:
  void copy() {
    EntryCopier copier(job_);
    CopyResult mine;
    while (!failed_.load(std::memory_order_relaxed)) {
      const size_t at = next_.fetch_add(1, std::memory_order_relaxed);
      if (at >= job_.plan.files.size()) break;
      const uint32_t entry = job_.plan.files[at];
      if (auto error = copier.copy(entry, mine)) fail(entry, std::move(*error));
      progress_.files.fetch_add(1, std::memory_order_relaxed);
      const struct stat& status = job_.manifest.entries[entry].status;
      if (S_ISREG(status.st_mode))
        progress_.bytes.fetch_add(static_cast<uint64_t>(status.st_size), std::memory_order_relaxed);
    }
    const std::lock_guard guard(lock_);
    std::move(mine.elf_files.begin(), mine.elf_files.end(), std::back_inserter(all_.elf_files));
    all_.lost.insert(all_.lost.end(), mine.lost.begin(), mine.lost.end());
  }

  void fail(uint32_t entry, Error error) {
    failed_.store(true);
    const std::lock_guard guard(lock_);
    errors_.emplace(entry, std::move(error));
  }

  const CopyJob& job_;
  CopyProgress& progress_;
  std::atomic<size_t> next_{0};
  std::atomic<bool> failed_{false}, out_of_memory_{false};
  std::mutex lock_;
  CopyResult all_;
  std::map<uint32_t, Error> errors_;
};

}  // namespace

CopyPlan plan_copy(const Manifest& manifest) {
  CopyPlan plan;
  std::map<std::pair<dev_t, ino_t>, uint32_t> first;
  for (uint32_t at = 0; at < manifest.entries.size(); ++at) {
    const struct stat& status = manifest.entries[at].status;
    if (S_ISDIR(status.st_mode)) {
      plan.folders.push_back(at);
      continue;
    }
    if (status.st_nlink > 1) {
      const auto [known, is_new] = first.try_emplace({status.st_dev, status.st_ino}, at);
      if (!is_new) {
        plan.links.emplace_back(at, known->second);
        continue;
      }
    }
    plan.files.push_back(at);
    if (S_ISREG(status.st_mode)) plan.bytes += static_cast<uint64_t>(status.st_size);
  }
  return plan;
}

std::optional<Error> make_folders(const CopyJob& job) {
  EntryCopier copier(job);
  for (const uint32_t folder : job.plan.folders)
    if (folder != 0)
      if (auto error = copier.make_folder(folder)) return error;
  return std::nullopt;
}

Result<CopyResult> copy_files(const CopyJob& job, CopyProgress& progress) {
  Work work(job, progress);
  std::vector<std::thread> threads;
  try {
    for (unsigned i = 1; i < job.threads; ++i) threads.emplace_back([&work] { work.run(); });
  } catch (const std::exception&) {
    // At a limit of processes or memory: those that there are do the work.
  }
  work.run();
  for (std::thread& thread : threads) thread.join();
  return work.result();
}

std::optional<Error> make_links(const CopyJob& job) {
  EntryCopier copier(job);
  for (const auto& [entry, of] : job.plan.links)
    if (auto error = copier.make_link(entry, of)) return error;
  return std::nullopt;
}

std::optional<Error> finish_folders(const CopyJob& job, CopyResult& result) {
  EntryCopier copier(job);
  for (size_t at = job.plan.folders.size(); at-- > 0;)
    if (auto error = copier.finish_folder(job.plan.folders[at], result)) return error;
  return std::nullopt;
}

}  // namespace sysrewrite
