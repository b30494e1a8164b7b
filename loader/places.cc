#include "loader/places.h"

#include <asm/unistd.h>
#include <linux/errno.h>

#include <cstring>

#include "loader/memory.h"
#include "loader/position.h"
#include "loader/syscalls.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kSyscallSize = 2;

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

uint64_t hexadecimal(const char*& text) {
  uint64_t value = 0;
  for (;; ++text) {
    const bool digit = *text >= '0' && *text <= '9', letter = *text >= 'a' && *text <= 'f';
    if (!digit && !letter) return value;
    value = value * 16 + static_cast<uint64_t>(digit ? *text - '0' : *text - 'a' + 10);
  }
}

void find_object(uint64_t address, sysload_place* place) {
  Lines maps("/proc/self/maps");
  for (const char* line = maps.next(); line != nullptr; line = maps.next()) {
    const uint64_t start = hexadecimal(line);
    const uint64_t end = *line == '-' ? hexadecimal(++line) : 0;
    if (address < start || address >= end) continue;
    while (*line != 0 && *line != '/') ++line;
    const size_t size = strlen(line);
    const size_t kept = size < sizeof(place->object) ? size : sizeof(place->object) - 1;
    memcpy(place->object, line, kept);
    place->object[kept] = 0;
    return;
  }
}

}  // namespace

RuntimeAddr restart_of_call(RuntimeAddr tail) {
  const FoundSite found = site_of_stub(tail);
  if (found.site != nullptr) return restart_in_stub(found);
  // Code that nobody rewrote, caught: its own `syscall` stands before the place that it goes on at.
  return {tail.value - SYSREWRITE_TAIL_FROM_RESUME - kSyscallSize};
}

int place_of_call(RuntimeAddr tail, sysload_place* place) {
  memset(place, 0, sizeof(*place));
  const FoundSite found = site_of_stub(tail);
  if (found.site == nullptr) return -ENOENT;
  place->address = (found.table->base + found.site->site).value;
  place->base = found.table->bias;
  find_object(place->address, place);
  return 0;
}

}  // namespace sysrewrite
