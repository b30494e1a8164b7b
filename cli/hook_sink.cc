#include "cli/hook_sink.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>

#include <cerrno>
#include <cstring>

namespace sysrewrite {

namespace {

bool wait_until_writable(int fd) {
  pollfd full{fd, POLLOUT, 0};
  return poll(&full, 1, -1) >= 0 || errno == EINTR;
}

}  // namespace

bool HookSink::open_file(const std::string& path) {
  file_.reset(
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666));
  return file_.valid();
}

int HookSink::descriptor() const {
  return file_.valid() ? file_.get() : STDERR_FILENO;
}

void HookSink::put(std::string_view text) {
  is_used_ = is_used_ || !text.empty();
  while (!text.empty()) {
    const ssize_t written = write(descriptor(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN && wait_until_writable(descriptor())) continue;
    if (written <= 0) {
      error_ = written == 0 ? EIO : errno;
      lost_ += text.size();
      return;
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
}

std::string HookSink::loss(const std::string& name) const {
  if (lost_ == 0) return {};
  return fmt::format("{} bytes of the output of {} were lost: {}", lost_, name,
                     std::strerror(error_));
}

}  // namespace sysrewrite
