// Keeping vector registers, for hooks that say that they change them.
#ifndef SYSREWRITE_LOADER_VECTORS_H_
#define SYSREWRITE_LOADER_VECTORS_H_

#include <cstddef>
#include <cstdint>

namespace sysrewrite {

// Which state components the area can hold: x87, SSE, AVX and AVX-512 as far as the system has
// enabled them. What else there is (AMX tiles, PKRU) compiled code does not change by itself.
// Source: Intel SDM vol. 1, 13.1 to 13.4.
inline uint64_t kept_vector_features(size_t area_size) {
  constexpr uint64_t kLegacy = 0x3, kKept = 0xe7;
  uint32_t a = 1, b = 0, c = 0, d = 0;
  asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  constexpr uint32_t kOsxsave = 1U << 27;
  if ((c & kOsxsave) == 0) return 0;
  uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  a = 0xd, c = 0;
  asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  const uint64_t enabled = (uint64_t{high} << 32 | low) & kKept;
  // ebx counts everything that is enabled, so it may say more than is needed here.
  return b <= area_size ? enabled : enabled & (kLegacy | 0x4);
}

inline void save_vectors(std::byte* area, uint64_t features) {
  const auto low = static_cast<uint32_t>(features), high = static_cast<uint32_t>(features >> 32);
  asm volatile("xsave64 (%0)" : : "r"(area), "a"(low), "d"(high) : "memory");
}

inline void restore_vectors(const std::byte* area, uint64_t features) {
  const auto low = static_cast<uint32_t>(features), high = static_cast<uint32_t>(features >> 32);
  asm volatile("xrstor64 (%0)" : : "r"(area), "a"(low), "d"(high) : "memory");
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_VECTORS_H_
