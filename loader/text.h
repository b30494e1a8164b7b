// Comparing text that ends in a zero byte, or that has a length.
#ifndef SYSREWRITE_LOADER_TEXT_H_
#define SYSREWRITE_LOADER_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sysrewrite {

// `length` bytes at `text`, which need not end there, are the word.
inline bool is_word(const char* text, size_t length, const char* word) {
  return strlen(word) == length && memcmp(text, word, length) == 0;
}

inline bool equal(const char* a, const char* b) {
  return is_word(a, strlen(a), b);
}

// What stands behind `prefix`; nullptr where the text does not begin with it.
inline const char* after(const char* text, const char* prefix) {
  while (*prefix != 0)
    if (*text++ != *prefix++) return nullptr;
  return text;
}

inline bool begins_with(const char* text, const char* prefix) {
  return after(text, prefix) != nullptr;
}

// The digits of a number, in the last bytes of `into`.
inline char* hexadecimal(uint64_t value, char (&into)[17]) {
  unsigned at = 16;
  into[at] = 0;
  do {
    into[--at] = "0123456789abcdef"[value % 16];
    value /= 16;
  } while (value != 0);
  return into + at;
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_TEXT_H_
