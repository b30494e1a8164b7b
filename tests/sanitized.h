// What a sanitized build leaves out: it takes several times the time and memory for each access.
// The build without tries everything, most of it with the full counts alone (test_binary() in
// tests/CMakeLists.txt).
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

// Of how many cases a test that goes through many tries one: of one without a sanitizer, of `few`
// with one, and of a quarter as many with the full counts. An odd number: bytes and bits of
// structures lie at even distances, and some would never be tried.
inline size_t one_in(size_t few) {
  if (!kSanitized) return 1;
  return std::getenv("SYSREWRITE_TEST_FULL") != nullptr ? std::max<size_t>(1, few / 4) : few;
}

}  // namespace sysrewrite::test

#endif  // SYSREWRITE_TESTS_SANITIZED_H_
