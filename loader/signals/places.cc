#include "loader/signals/places.h"

#include <asm/unistd.h>
#include <linux/errno.h>

#include <cstring>

#include "loader/lines.h"
#include "loader/memory.h"
#include "loader/signals/position.h"
#include "loader/syscalls.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kSyscallSize = 2;

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
