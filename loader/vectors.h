// Keeping vector registers, for hooks that say that they change them.
#ifndef SYSREWRITE_LOADER_VECTORS_H_
#define SYSREWRITE_LOADER_VECTORS_H_

#include <cstddef>
#include <cstdint>

namespace sysrewrite {

// What of the processor's state is kept while a hook runs that changes vector registers.
enum class VectorKind : uint8_t {
  kNone,
  kXmm,  // the registers of that name and MXCSR, by moves (vectors.S)
  kYmm,
  kZmm,    // and the masks
  kXsave,  // all of that, and the x87
};

struct CpuidAnswer {
  uint32_t a, b, c, d;
};

inline CpuidAnswer cpuid(uint32_t leaf, uint32_t subleaf = 0) {
  CpuidAnswer answer{leaf, 0, subleaf, 0};
  asm volatile("cpuid" : "+a"(answer.a), "=b"(answer.b), "+c"(answer.c), "=d"(answer.d));
  return answer;
}

// XCR0: the state components that the system has enabled; 0 where it does not say.
// Source: Intel SDM vol. 1, 13.1 to 13.4.
inline uint64_t enabled_features() {
  constexpr uint32_t kOsxsave = 1U << 27;
  if ((cpuid(1).c & kOsxsave) == 0) return 0;
  uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

// The widest registers that can be used. Source: Intel SDM vol. 1, 14.3, 15.2 to 15.4.
inline VectorKind widest_vectors() {
  constexpr uint64_t kAvx = 0x6, kAvx512 = 0xe6;
  constexpr uint32_t kFoundation = 1U << 16, kWords = 1U << 30;  // words: kmovq
  const uint64_t enabled = enabled_features();
  if ((enabled & kAvx) != kAvx) return VectorKind::kXmm;
  if ((enabled & kAvx512) != kAvx512) return VectorKind::kYmm;
  const uint32_t has = cpuid(7).b;
  // Masks of 16 bits alone (Xeon Phi).
  if ((has & kFoundation) == 0 || (has & kWords) == 0) return VectorKind::kXsave;
  return VectorKind::kZmm;
}

// Which state components xsave is to keep: x87, SSE, AVX and AVX-512 as far as the system has
// enabled them. What else there is (AMX tiles, PKRU) compiled code does not change by itself, and
// the tiles would not fit.
inline uint64_t kept_vector_features(size_t area_size) {
  constexpr uint64_t kLegacy = 0x3, kKept = 0xe7;
  const uint64_t enabled = enabled_features();
  uint64_t kept = enabled & kLegacy;
  for (uint32_t i = 2; i < 8; ++i) {
    const uint64_t bit = uint64_t{1} << i;
    if ((enabled & kKept & bit) == 0) continue;
    const CpuidAnswer component = cpuid(0xd, i);  // a: its size, b: where it begins
    if (component.a + component.b <= area_size) kept |= bit;
  }
  return kept;
}

extern "C" {
[[gnu::visibility("hidden")]] void sysload_save_xmm(std::byte* area);
[[gnu::visibility("hidden")]] void sysload_restore_xmm(std::byte* area);
[[gnu::visibility("hidden")]] void sysload_save_ymm(std::byte* area);
[[gnu::visibility("hidden")]] void sysload_restore_ymm(std::byte* area);
[[gnu::visibility("hidden")]] void sysload_save_zmm(std::byte* area);
[[gnu::visibility("hidden")]] void sysload_restore_zmm(std::byte* area);
}

// `features`: what xsave keeps.
inline void save_vectors(VectorKind kind, std::byte* area, uint64_t features) {
  switch (kind) {
    case VectorKind::kNone:
      return;
    case VectorKind::kXmm:
      return sysload_save_xmm(area);
    case VectorKind::kYmm:
      return sysload_save_ymm(area);
    case VectorKind::kZmm:
      return sysload_save_zmm(area);
    case VectorKind::kXsave:
      break;
  }
  const auto low = static_cast<uint32_t>(features), high = static_cast<uint32_t>(features >> 32);
  asm volatile("xsave64 (%0)" : : "r"(area), "a"(low), "d"(high) : "memory");
}

inline void restore_vectors(VectorKind kind, std::byte* area, uint64_t features) {
  switch (kind) {
    case VectorKind::kNone:
      return;
    case VectorKind::kXmm:
      return sysload_restore_xmm(area);
    case VectorKind::kYmm:
      return sysload_restore_ymm(area);
    case VectorKind::kZmm:
      return sysload_restore_zmm(area);
    case VectorKind::kXsave:
      break;
  }
  const auto low = static_cast<uint32_t>(features), high = static_cast<uint32_t>(features >> 32);
  asm volatile("xrstor64 (%0)" : : "r"(area), "a"(low), "d"(high) : "memory");
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_VECTORS_H_
