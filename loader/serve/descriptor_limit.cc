#include "loader/serve/descriptor_limit.h"

#include <asm/unistd.h>

#include "loader/memory.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kLimitDescriptors = 7;  // RLIMIT_NOFILE
constexpr uint64_t kMore = 16;

bool set_limit(const ResourceLimit& limit) {
  return !sys::failed(
      sys::call(__NR_prlimit64, 0, kLimitDescriptors, Memory::address_of(&limit).value, 0));
}

}  // namespace

bool read_descriptor_limit(ResourceLimit* limit) {
  const uint64_t into = Memory::address_of(limit).value;
  return !sys::failed(sys::call(__NR_prlimit64, 0, kLimitDescriptors, 0, into));
}

BeyondLimit::BeyondLimit() {
  if (!read_descriptor_limit(&old_)) return;
  if (old_.current < old_.maximum) {
    raised_ = set_limit({old_.maximum, old_.maximum});
  } else if (old_.maximum < UINT64_MAX - kMore) {
    raised_ = set_limit({old_.maximum + kMore, old_.maximum + kMore});
  }
}

BeyondLimit::~BeyondLimit() {
  if (raised_) set_limit(old_);
}

}  // namespace sysrewrite
