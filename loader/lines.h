// Files of /proc, line by line.
#ifndef SYSREWRITE_LOADER_LINES_H_
#define SYSREWRITE_LOADER_LINES_H_

#include <cstddef>
#include <cstdint>

#include "loader/memory.h"
#include "loader/syscalls.h"

namespace sysrewrite {

// Reads a file in pieces and gives it back by lines.
class Lines {
 public:
  explicit Lines(const char* path) : fd_(sys::open_for_reading(path)) {}
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;
  ~Lines() {
    if (fd_ >= 0) sys::close(fd_);
  }

  // Cut at the size; nullptr at the end.
  const char* next() {
    size_t size = 0;
    for (;;) {
      if (at_ == filled_ && !fill()) break;
      const char c = buffer_[at_++];
      if (c == '\n') break;
      if (size + 1 < sizeof(line_)) line_[size++] = c;
    }
    line_[size] = 0;
    return size == 0 ? nullptr : line_;
  }

 private:
  bool fill() {
    if (fd_ < 0) return false;
    const int64_t got =
        sys::read(fd_, Memory::bytes(Memory::address_of(&buffer_[0]), sizeof(buffer_)));
    at_ = 0;
    filled_ = got > 0 ? static_cast<size_t>(got) : 0;
    return filled_ != 0;
  }

  sys::Fd fd_;
  size_t at_ = 0, filled_ = 0;
  char buffer_[2048];
  char line_[512];
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_LINES_H_
