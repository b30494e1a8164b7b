#include "trampoline/call_names.h"

#include <cstring>

namespace sysrewrite {

namespace {

// Names stand in the table itself, not behind pointers, which would need relocations.
struct CallName {
  uint16_t number;
  char name[26];
};
constexpr CallName kNames[] = {
#include "trampoline/call_names.inc"
};
constexpr uint64_t kCount = sizeof(kNames) / sizeof(kNames[0]);

constexpr bool names_ascend() {
  for (uint64_t i = 1; i < kCount; ++i)
    if (kNames[i - 1].number >= kNames[i].number) return false;
  return true;
}
static_assert(names_ascend());

}  // namespace

const char* call_name(uint64_t number) {
  uint64_t low = 0, high = kCount;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (kNames[middle].number == number) return kNames[middle].name;
    if (kNames[middle].number < number) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return nullptr;
}

int64_t call_number(const char* name) {
  const size_t size = strlen(name);
  for (const CallName& known : kNames)
    if (strlen(known.name) == size && memcmp(known.name, name, size) == 0) return known.number;
  return -1;
}

}  // namespace sysrewrite
