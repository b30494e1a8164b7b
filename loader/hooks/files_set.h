// A set of 64-bit fingerprints that all processes of a tree share, without a lock: a process may be
// killed at any instruction, and the others must go on.
//
// Fingerprints are only ever added. The set is a row of levels, each 8 times as large as the one
// before, of buckets of 8 words, a cache line each. A fingerprint goes into the first free word of
// its bucket in the first level where that has one, by compare-and-swap. Since nothing is taken
// out, a bucket that was full stays full, and looking for a fingerprint the same way finds it: it
// ends at the fingerprint, at a free word, or behind the last level. A small set so touches few
// pages, which matters to processes that live for a millisecond.
//
//   level 0   512 buckets     32 KiB
//   level 1   4096           256 KiB
//   level 2   32768            2 MiB
//   level 3   262144          16 MiB    a million fingerprints before the first finds no room
//
// Two names have the same fingerprint with a probability of n^2 / 2^65: 3e-8 for a million names.
#ifndef SYSREWRITE_LOADER_HOOKS_FILES_SET_H_
#define SYSREWRITE_LOADER_HOOKS_FILES_SET_H_

#include <cstdint>

namespace sysrewrite {

class FingerprintSet {
 public:
  static constexpr uint32_t kBucket = 8;
  static constexpr uint32_t kLevels = 4;
  static constexpr uint32_t kFirstBuckets = 512;
  static constexpr uint64_t kWords = uint64_t{kFirstBuckets} * kBucket * (1 + 8 + 64 + 512);
  static constexpr uint64_t kBytes = kWords * 8;

  // kBytes of memory, 0 where nobody has written yet; aligned to a cache line.
  explicit FingerprintSet(uint64_t* words) : words_(words) {}

  bool contains(uint64_t fingerprint) const;
  // Whether it was not there before. True, too, where there is no room for it.
  bool insert(uint64_t fingerprint);

 private:
  uint64_t* words_;
};

// Of a string; not for adversaries.
uint64_t fingerprint_of(const char* text, uint32_t size);
// Of a string's fingerprint together with a small number.
uint64_t fingerprint_with(uint64_t fingerprint, uint64_t number);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_HOOKS_FILES_SET_H_
