// The machine's only source of chance: the same seed gives the same cases, on every machine.
#ifndef SYSREWRITE_TESTS_DIFFERENTIAL_RANDOM_H_
#define SYSREWRITE_TESTS_DIFFERENTIAL_RANDOM_H_

#include <cstddef>
#include <cstdint>

namespace sysrewrite::differential {

// SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
class Random {
 public:
  Random(uint64_t seed, uint64_t stream) : state_(seed + stream * 0xd1342543de82ef95) { next(); }

  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }

  // In [0, count).
  uint32_t below(size_t count) { return static_cast<uint32_t>(next() % count); }
  bool one_in(size_t count) { return below(count) == 0; }

  template <typename Table>
  const auto& pick(const Table& table) {
    return table[below(std::size(table))];
  }

 private:
  uint64_t state_;
};

}  // namespace sysrewrite::differential

#endif  // SYSREWRITE_TESTS_DIFFERENTIAL_RANDOM_H_
