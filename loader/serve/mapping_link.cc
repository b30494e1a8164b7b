#include "loader/serve/mapping_link.h"

#include <algorithm>
#include <cstring>

#include "loader/memory.h"
#include "loader/serve/descriptor_limit.h"
#include "loader/text.h"

namespace sysrewrite {

namespace {

struct Bounds {
  uint64_t start, end;
};

// Reads lines that begin "START-END ", by the byte: most of each is of no interest.
class BoundsReader {
 public:
  // True where this byte completes the bounds of a mapping.
  bool take(char c) {
    if (c == '\n') {
      *this = {};
    } else if (field_ < 2 && (c == '-' || c == ' ')) {
      return ++field_ == 2;
    } else if (field_ < 2) {
      value_[field_] =
          value_[field_] * 16 + static_cast<uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return false;
  }
  Bounds bounds() const { return {value_[0], value_[1]}; }

 private:
  unsigned field_ = 0;
  uint64_t value_[2] = {};
};

bool find_bounds(sys::Fd maps, RuntimeAddr address, Bounds* found) {
  char part[1024];
  BoundsReader reader;
  for (;;) {
    const int64_t got = sys::read(maps, Memory::bytes(Memory::address_of(&part[0]), sizeof(part)));
    if (got <= 0) return false;
    for (int64_t i = 0; i < got; ++i) {
      if (!reader.take(part[i])) continue;
      *found = reader.bounds();
      if (address.value - found->start < found->end - found->start) return true;
    }
  }
}

}  // namespace

bool link_of_mapping(RuntimeAddr address, char (&link)[kMappingLink]) {
  const sys::Fd maps = beyond_limit([] { return sys::open_for_reading("/proc/self/maps"); });
  if (sys::failed(maps)) return false;
  Bounds found{};
  const bool is_found = find_bounds(maps, address, &found);
  sys::close(maps);
  if (!is_found) return false;
  constexpr char kFolder[] = "/proc/self/map_files/";
  char digits[17];
  char* at = std::copy_n(&kFolder[0], sizeof(kFolder) - 1, &link[0]);
  const auto add = [&](uint64_t value) {
    const char* text = hexadecimal(value, digits);
    at = std::copy_n(text, strlen(text), at);
  };
  add(found.start);
  *at++ = '-';
  add(found.end);
  *at = 0;
  return true;
}

}  // namespace sysrewrite
