#include "loader/hooks/trace_names.h"

#include <cstring>

namespace sysrewrite::trace {

struct Names::Entry {
  uint64_t value;
  const char* name;
};

const char* Names::entries() const {
  return bytes_ + strlen(bytes_) + 1;
}

bool Names::next(const char*& at, Entry& entry) const {
  entry.value = 0;
  for (unsigned shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(*at++);
    entry.value |= static_cast<uint64_t>(byte & 127) << shift;
    if ((byte & 128) == 0) break;
  }
  entry.name = at;
  at += strlen(at) + 1;
  return *entry.name != 0;
}

bool Names::find(uint64_t value, Entry& entry) const {
  const char* at = entries();
  while (next(at, entry))
    if (entry.value == value) return true;
  return false;
}

bool Names::has(uint64_t value) const {
  Entry entry{};
  return find(value, entry);
}

void Names::print(Line& line, const Entry& entry) const {
  if (*entry.name == '=') {
    line.text(entry.name + 1);
  } else {
    line.chars(bytes_, packing::prefix_length(bytes_)).text(entry.name);
  }
}

void Names::value(Line& line, uint64_t value) const {
  Entry entry{};
  if (find(value, entry)) {
    print(line, entry);
  } else {
    line.hex(value).text(" /* ").text(bytes_).text(" */");
  }
}

uint64_t Names::known_flags(Line& line, uint64_t value, bool& first) const {
  const char* at = entries();
  Entry entry{};
  while (next(at, entry)) {
    if (entry.value == 0 || (value & entry.value) != entry.value) continue;
    if (!first) line.character('|');
    first = false;
    print(line, entry);
    value &= ~entry.value;
  }
  return value;
}

void Names::flags(Line& line, uint64_t value) const {
  Entry entry{};
  if (value == 0) {
    if (find(0, entry)) {
      print(line, entry);
    } else {
      line.character('0');
    }
    return;
  }
  bool first = true;
  const uint64_t rest = known_flags(line, value, first);
  if (rest == 0) return;
  if (first) {
    line.hex(rest).text(" /* ").text(bytes_).text(" */");
  } else {
    line.character('|').hex(rest);
  }
}

}  // namespace sysrewrite::trace
