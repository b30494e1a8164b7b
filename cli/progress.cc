#include "cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <system_error>

namespace sysrewrite {

namespace {

constexpr const char* kEraseLine = "\r\033[K";
constexpr unsigned kUsualColumns = 80;

unsigned terminal_columns() {
  struct winsize size {};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0;
  return known ? size.ws_col : kUsualColumns;
}

void write_line(const std::string& line) {
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace

std::string progress_line(uint64_t done, uint64_t total, uint64_t files, uint64_t all_files,
                          unsigned columns) {
  // Files count as well as bytes: a tree of empty files is work, too.
  const double whole = static_cast<double>(total) + static_cast<double>(all_files);
  const double part = static_cast<double>(done) + static_cast<double>(files);
  const double share = whole == 0 ? 1 : std::min(part / whole, 1.0);
  const std::string words = fmt::format(" {:3.0f} %  {}/{} files, {:.0f} MB", 100 * share, files,
                                        all_files, static_cast<double>(done) / 1e6);
  if (columns < words.size() + 12) return words.substr(0, columns);
  // The last column stays free, where some terminals wrap.
  const size_t width = std::min<size_t>(columns - words.size() - 3, 50);
  const auto full = static_cast<size_t>(share * static_cast<double>(width));
  return "[" + std::string(full, '#') + std::string(width - full, ' ') + "]" + words;
}

ProgressBar::ProgressBar(const std::atomic<uint64_t>& bytes, const std::atomic<uint64_t>& files,
                         Goal goal, bool wanted)
    : bytes_(bytes), files_(files), goal_(goal) {
  if (!wanted || isatty(STDERR_FILENO) == 0) return;
  try {
    thread_ = std::thread([this] {
      std::unique_lock guard(lock_);
      while (!end_.wait_for(guard, std::chrono::milliseconds(100), [this] { return over_; }))
        draw();
    });
  } catch (const std::system_error&) {
    // At a limit of processes or memory it goes without.
  }
}

ProgressBar::~ProgressBar() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard guard(lock_);
    over_ = true;
  }
  end_.notify_all();
  thread_.join();
  write_line(kEraseLine);
}

void ProgressBar::draw() const {
  write_line(kEraseLine + progress_line(bytes_.load(), goal_.bytes, files_.load(), goal_.files,
                                        terminal_columns()));
}

}  // namespace sysrewrite
