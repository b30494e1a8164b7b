// What is left out where there is no time: everything is tried with the full counts, in the build
// without sanitizers. A sanitized one takes several times the time and memory for each access.
#ifndef SYSREWRITE_TESTS_SANITIZED_H_
#define SYSREWRITE_TESTS_SANITIZED_H_

#include <algorithm>
#include <cstddef>
#include <cstdlib>

namespace sysrewrite::test {

#ifdef __SANITIZE_ADDRESS__  // g++
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
inline constexpr bool kSanitized = __has_feature(address_sanitizer);
#else
inline constexpr bool kSanitized = false;
#endif

// Of how many cases a test that goes through many tries one: of `sanitized` or of `plain`, by the
// build; with the full counts of a quarter of the one, and every one in the other.
inline size_t one_in(size_t sanitized, size_t plain = 1) {
  const bool full = std::getenv("SYSREWRITE_TEST_FULL") != nullptr;
  if (kSanitized) return full ? std::max<size_t>(1, sanitized / 4) : sanitized;
  return full ? 1 : plain;
}

}  // namespace sysrewrite::test

#endif  // SYSREWRITE_TESTS_SANITIZED_H_
