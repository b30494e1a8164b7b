// A policy's text, cut into words: where one is, and what it says.
#ifndef SYSREWRITE_LOADER_HOOKS_DENY_WORDS_H_
#define SYSREWRITE_LOADER_HOOKS_DENY_WORDS_H_

#include "loader/hooks/deny_policy.h"

namespace sysrewrite::deny {

// A name or number, an operator or bracket, or the end of a line. Points into the text.
struct Word {
  const char* text;
  uint32_t length;  // 0: the end of the line
  uint32_t line, column;

  bool is(const char* other) const;
  bool is_end() const { return length == 0; }
};

class Words {
 public:
  Words(const char* text, uint32_t size) : text_(text), end_(text + size), line_start_(text) {}

  // The next word of the line, without taking it. Comments end lines.
  Word peek();
  Word take();
  // A path or pattern, without taking it for other words: up to a blank, or in quotation marks,
  // which the result keeps. Length 0 where the line ends; `closed` says whether the quotation does.
  Word take_path(bool& closed);
  // To the next line; false where there is none. Only after a word that is_end().
  bool next_line();

 private:
  void skip_blanks();
  bool is_line_end() const;  // or a comment, which is as good
  Word from_here(uint32_t length) const;

  const char* text_;
  const char* end_;
  const char* line_start_;
  uint32_t line_ = 1;
};

}  // namespace sysrewrite::deny

#endif  // SYSREWRITE_LOADER_HOOKS_DENY_WORDS_H_
