#include "loader/hooks/files_set.h"

#include <cstring>

namespace sysrewrite {

namespace {

__extension__ using Product = unsigned __int128;

// The two halves of a product, folded: each bit of both factors reaches the whole word. Source of
// the method and of the constants: wyhash, by Wang Yi (public domain).
uint64_t mix(uint64_t a, uint64_t b) {
  const Product product = Product{a} * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

constexpr uint64_t kFirst = 0xa0761d6478bd642f;
constexpr uint64_t kSecond = 0xe7037ed1a0b428db;

// Free words are 0.
uint64_t not_zero(uint64_t fingerprint) {
  return fingerprint == 0 ? 1 : fingerprint;
}

}  // namespace

uint64_t fingerprint_of(const char* text, uint32_t size) {
  uint64_t state = kFirst ^ size;
  uint32_t i = 0;
  for (; i + 8 <= size; i += 8) {
    uint64_t word = 0;
    memcpy(&word, text + i, 8);
    state = mix(state ^ word, kSecond);
  }
  uint64_t rest = 0;
  for (; i < size; ++i) rest = rest << 8 | static_cast<unsigned char>(text[i]);
  return mix(state ^ kSecond, rest ^ kFirst);
}

uint64_t fingerprint_with(uint64_t fingerprint, uint64_t number) {
  return not_zero(mix(fingerprint ^ kFirst, (number + 1) * kSecond | 1));
}

bool FingerprintSet::contains(uint64_t fingerprint) const {
  const uint64_t* level = words_;
  uint64_t buckets = kFirstBuckets;
  for (uint32_t i = 0; i < kLevels; ++i, level += buckets * kBucket, buckets *= 8) {
    const uint64_t* bucket = level + fingerprint % buckets * kBucket;
    for (uint32_t j = 0; j < kBucket; ++j) {
      const uint64_t found = __atomic_load_n(&bucket[j], __ATOMIC_RELAXED);
      if (found == fingerprint) return true;
      if (found == 0) return false;
    }
  }
  return false;
}

bool FingerprintSet::insert(uint64_t fingerprint) {
  uint64_t* level = words_;
  uint64_t buckets = kFirstBuckets;
  for (uint32_t i = 0; i < kLevels; ++i, level += buckets * kBucket, buckets *= 8) {
    uint64_t* bucket = level + fingerprint % buckets * kBucket;
    for (uint32_t j = 0; j < kBucket; ++j) {
      uint64_t found = __atomic_load_n(&bucket[j], __ATOMIC_RELAXED);
      if (found == 0 && __atomic_compare_exchange_n(&bucket[j], &found, fingerprint, false,
                                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return true;
      if (found == fingerprint) return false;
    }
  }
  return true;
}

}  // namespace sysrewrite
