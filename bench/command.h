// Running a command as a measurement needs it: wall time, memory, what it said.
#ifndef SYSREWRITE_BENCH_COMMAND_H_
#define SYSREWRITE_BENCH_COMMAND_H_

#include <cstdint>
#include <string>
#include <vector>

namespace sysrewrite::bench {

struct Finished {
  int status = -1;         // exit status; 128 + signal where one killed it; -1: it never started
  double seconds = 0;      // from before it was started until it was waited for
  double cpu_seconds = 0;  // of processors, for it and all its descendants that were waited for
  uint64_t peak_rss = 0;   // bytes, of pages mapped from files too
  std::string out;
  std::string err;
};

// Runs a command (argv[0] is a path, or a name for $PATH) and waits for it. `environment` adds to
// this process's own.
//
// peak_rss is never below this process's own peak: the kernel counts what the child shared with its
// parent before it became another program. So who measures memory stays small itself.
Finished run(const std::vector<std::string>& argv,
             const std::vector<std::string>& environment = {});

// The command and what it said, in one line, for an error.
std::string describe(const std::vector<std::string>& argv, const Finished& finished);

// As run(); throws where the command fails: a benchmark that goes on with half of its programs
// misleads.
Finished must_run(const std::vector<std::string>& argv,
                  const std::vector<std::string>& environment = {});

// Paths of the product's commands: $SYSREWRITE and $SYSLOAD, or else those of this build. Prints
// why and ends this process where there is none.
std::string sysrewrite_path();
std::string sysload_path();

// From here on this process and its children stay on one processor: a move in the middle of a loop
// costs more than what is measured.
void stay_on_one_processor();

}  // namespace sysrewrite::bench

#endif  // SYSREWRITE_BENCH_COMMAND_H_
