// The first line of a script, as the kernel reads it: "#! interpreter argument".
//
// All that follows the interpreter's name is one argument. Only the file's first bytes are looked
// at; an argument may be cut there, but not the name: it ends with the line, or at a blank or a
// zero. Source: linux, fs/binfmt_script.c, load_script().
#ifndef SYSREWRITE_TRAMPOLINE_SCRIPT_LINE_H_
#define SYSREWRITE_TRAMPOLINE_SCRIPT_LINE_H_

#include <cstddef>

namespace sysrewrite {

inline constexpr size_t kScriptLine = 256;  // BINPRM_BUF_SIZE

struct ScriptLine {
  const char* interpreter = nullptr;
  const char* argument = nullptr;  // nullptr: there is none
};

namespace internal {

inline bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

// The first in [first, last], which includes the last, that is not blank; nullptr: all are.
inline char* next_word(char* first, const char* last) {
  for (; first <= last; ++first)
    if (!is_blank(*first)) return first;
  return nullptr;
}

// Likewise the first that ends a word.
inline char* next_terminator(char* first, const char* last) {
  for (; first <= last; ++first)
    if (is_blank(*first) || *first == 0) return first;
  return nullptr;
}

// The line's end; nullptr where there is none that the kernel believes.
inline char* end_of_line(char (&start)[kScriptLine]) {
  char* const last = &start[kScriptLine - 1];
  for (char* at = start; at <= last && *at != 0; ++at)
    if (*at == '\n') return at;
  char* const name = next_word(&start[2], last);
  return name != nullptr && next_terminator(name, last) != nullptr ? last : nullptr;
}

}  // namespace internal

// Splits in place. `start` is what the file begins with, and zeros behind its end. False where it
// is no script, or names no interpreter: ENOEXEC.
inline bool split_script_line(char (&start)[kScriptLine], ScriptLine* line) {
  using namespace internal;
  if (start[0] != '#' || start[1] != '!') return false;
  char* end = end_of_line(start);
  if (end == nullptr) return false;
  while (is_blank(end[-1])) --end;
  char* const name = next_word(&start[2], end);
  if (name == nullptr || name == end) return false;
  char* const behind = next_terminator(name, end);
  line->interpreter = name;
  line->argument = behind != nullptr && *behind != 0 ? next_word(behind, end) : nullptr;
  *end = 0;
  if (line->argument != nullptr) *behind = 0;
  return true;
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_TRAMPOLINE_SCRIPT_LINE_H_
