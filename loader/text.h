// Comparing text that ends in a zero byte, or that has a length.
#ifndef SYSREWRITE_LOADER_TEXT_H_
#define SYSREWRITE_LOADER_TEXT_H_

#include <cstddef>
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

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_TEXT_H_
