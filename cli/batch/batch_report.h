// What is said of a tree in the end, to people and as JSON.
#ifndef SYSREWRITE_CLI_BATCH_BATCH_REPORT_H_
#define SYSREWRITE_CLI_BATCH_BATCH_REPORT_H_

#include <string>

#include "cli/batch/install_loader.h"
#include "cli/batch/tree_copy.h"
#include "cli/batch_command.h"

namespace sysrewrite {

struct BatchOutcome {
  const Manifest& manifest;
  const CopyPlan& plan;
  const CopyResult& result;
  Installation installation;
  double seconds = 0;

  bool incomplete() const;
  size_t count(FileStatus status) const;
};

std::string batch_text(const BatchCommand& command, const BatchOutcome& outcome);

// The files in the order of their paths; nothing in it depends on time or threads. Where there is
// an error nothing of that has been written.
std::string batch_json(const BatchCommand& command, const BatchOutcome& outcome,
                       const std::string& error);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_BATCH_BATCH_REPORT_H_
