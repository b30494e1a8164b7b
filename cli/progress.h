// A bar on a terminal, and nothing anywhere else.
#ifndef SYSREWRITE_CLI_PROGRESS_H_
#define SYSREWRITE_CLI_PROGRESS_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace sysrewrite {

// One line: how far work of `total` units is, in a terminal of so many columns.
std::string progress_line(uint64_t done, uint64_t total, uint64_t files, uint64_t all_files,
                          unsigned columns);

// Draws on standard error, ten times a second from a thread of its own, while it lives. Draws
// nothing where standard error is no terminal, or where `wanted` is false. The counters must
// outlive it.
class ProgressBar {
 public:
  struct Goal {
    uint64_t bytes = 0, files = 0;
  };
  ProgressBar(const std::atomic<uint64_t>& bytes, const std::atomic<uint64_t>& files, Goal goal,
              bool wanted);
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar();

 private:
  void draw() const;

  const std::atomic<uint64_t>& bytes_;
  const std::atomic<uint64_t>& files_;
  const Goal goal_;
  std::mutex lock_;
  std::condition_variable end_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_PROGRESS_H_
