// A tree's copy, its ELF files rewritten.
//
//   plan      which entries are copied, and which are further names of one that is
//   folders   all directories, so that whatever comes next has a place
//   files     everything else once, by all threads: each file is a function of its source alone
//   links     further names
//   finish    modes, owners and times of directories, the deepest first, since every change to what
//             they hold would change their times, and a mode may forbid it
#ifndef SYSREWRITE_CLI_BATCH_TREE_COPY_H_
#define SYSREWRITE_CLI_BATCH_TREE_COPY_H_

#include <atomic>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/batch/elf_result.h"
#include "cli/batch/manifest.h"
#include "cli/metadata.h"

namespace sysrewrite {

struct CopyPlan {
  std::vector<uint32_t> folders, files;
  std::vector<std::pair<uint32_t, uint32_t>> links;  // a name, and the entry of the same file
  uint64_t bytes = 0;                                // of the regular files
};

CopyPlan plan_copy(const Manifest& manifest);

// Counted up while the threads work.
struct CopyProgress {
  std::atomic<uint64_t> files{0}, bytes{0};
};

// What became of the files.
struct CopyResult {
  std::vector<ElfResult> elf_files;  // in the order of the manifest
  std::vector<std::pair<uint32_t, Lost>> lost;
};

struct CopyJob {
  const Manifest& manifest;
  const CopyPlan& plan;
  const FateRules& rules;
  int source = -1;
  int target = -1;  // -1: nothing is written (--dry-run)
  std::string source_name;
  unsigned threads = 1;
};

std::optional<Error> make_folders(const CopyJob& job);
// The error, if any, is that of the first entry in the manifest's order that was met.
Result<CopyResult> copy_files(const CopyJob& job, CopyProgress& progress);
std::optional<Error> make_links(const CopyJob& job);
std::optional<Error> finish_folders(const CopyJob& job, CopyResult& result);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_BATCH_TREE_COPY_H_
