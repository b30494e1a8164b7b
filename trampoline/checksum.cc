#include "trampoline/checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <new>

namespace sysrewrite {

namespace {

XXH64_state_t* state_of(std::byte* bytes) {
  return static_cast<XXH64_state_t*>(static_cast<void*>(bytes));
}

}  // namespace

Checksum::Checksum() {
  static_assert(sizeof(XXH64_state_t) <= sizeof(state_));
  XXH64_reset(new (state_) XXH64_state_t, 0);
}

void Checksum::add(ByteView part) {
  if (!part.empty()) XXH64_update(state_of(state_), part.data(), part.size());
}

uint64_t Checksum::digest() const {
  return XXH64_digest(static_cast<const XXH64_state_t*>(static_cast<const void*>(state_)));
}

}  // namespace sysrewrite
