// What this processor can run.
#ifndef SYSREWRITE_TESTS_DIFFERENTIAL_CPU_H_
#define SYSREWRITE_TESTS_DIFFERENTIAL_CPU_H_

#include <cstdint>

namespace sysrewrite::differential {

// NOLINTBEGIN(readability-implicit-bool-conversion): the builtin is int to gcc and bool to clang.
inline bool has_avx() {
  return __builtin_cpu_supports("avx") != 0;
}
inline bool has_avx2() {
  return __builtin_cpu_supports("avx2") != 0;
}
inline bool has_avx512() {
  return __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512bw") != 0;
}
// NOLINTEND(readability-implicit-bool-conversion)

// What a function is given and left with: 0 xmm, 1 ymm, 2 zmm and masks.
inline uint8_t vector_width() {
  if (has_avx512()) return 2;
  return has_avx() ? 1 : 0;
}

}  // namespace sysrewrite::differential

#endif  // SYSREWRITE_TESTS_DIFFERENTIAL_CPU_H_
