#include "cli/steady_lines.h"

#include <fmt/format.h>

#include <algorithm>

namespace sysrewrite {

namespace {

// Each with its line break, so that a last line without one is another line.
std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    lines.push_back(text.substr(at, end - at));
    at = end;
  }
  return lines;
}

}  // namespace

SteadyLines::SteadyLines(const std::string& once, const std::string& again)
    : lines_(lines_of(once)) {
  const std::vector<std::string> others = lines_of(again);
  compared_ = lines_.size() == others.size();
  if (!compared_) return;
  for (size_t i = 0; i < lines_.size(); ++i) steady_.push_back(lines_[i] == others[i]);
  unsteady_ = static_cast<size_t>(std::count(steady_.begin(), steady_.end(), false));
}

bool SteadyLines::differ_from(const std::string& other) const {
  if (!compared_) return false;
  const std::vector<std::string> others = lines_of(other);
  if (others.size() != lines_.size()) return true;
  for (size_t i = 0; i < lines_.size(); ++i)
    if (steady_[i] && lines_[i] != others[i]) return true;
  return false;
}

std::string SteadyLines::note(const std::string& stream) const {
  if (!compared_)
    return fmt::format(
        "{} has now more, now fewer lines from one native run to the next: not compared", stream);
  if (unsteady_ == 0) return {};
  return fmt::format("{}: {} of {} lines {} from one native run to the next: not compared", stream,
                     unsteady_, lines_.size(), unsteady_ == 1 ? "differs" : "differ");
}

}  // namespace sysrewrite
