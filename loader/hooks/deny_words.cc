#include "loader/hooks/deny_words.h"

#include "loader/text.h"

namespace sysrewrite::deny {

namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

// What stands for itself, whatever is next to it.
bool is_mark(char c) {
  switch (c) {
    case ',':
    case '(':
    case ')':
    case '=':
    case '!':
    case '<':
    case '>':
    case '&':
    case '|':
    case '"':
      return true;
    default:
      return false;
  }
}

}  // namespace

bool Word::is(const char* other) const {
  return is_word(text, length, other);
}

void Words::skip_blanks() {
  while (text_ != end_ && is_blank(*text_)) ++text_;
}

Word Words::from_here(uint32_t length) const {
  return {text_, length, line_, static_cast<uint32_t>(text_ - line_start_) + 1};
}

Word Words::peek() {
  skip_blanks();
  if (is_line_end()) return from_here(0);
  if (is_mark(*text_)) {
    const bool is_double = (*text_ == '=' || *text_ == '!' || *text_ == '<' || *text_ == '>') &&
                           end_ - text_ > 1 && text_[1] == '=';
    return from_here(is_double ? 2 : 1);
  }
  uint32_t length = 0;
  while (text_ + length != end_ && text_[length] != '\n' && !is_blank(text_[length]) &&
         !is_mark(text_[length]))
    ++length;
  return from_here(length);
}

Word Words::take() {
  const Word word = peek();
  text_ += word.length;
  return word;
}

Word Words::take_path(bool& closed) {
  closed = true;
  skip_blanks();
  uint32_t length = 0;
  const bool is_quoted = text_ != end_ && *text_ == '"';
  if (is_quoted) {
    closed = false;
    for (length = 1; text_ + length != end_ && text_[length] != '\n' && !closed; ++length) {
      if (text_[length] == '\\' && text_ + length + 1 != end_ && text_[length + 1] != '\n')
        ++length;
      else if (text_[length] == '"')
        closed = true;
    }
  } else if (!is_line_end()) {
    while (text_ + length != end_ && text_[length] != '\n' && !is_blank(text_[length])) ++length;
  }
  const Word word = from_here(length);
  text_ += length;
  return word;
}

bool Words::is_line_end() const {
  return text_ == end_ || *text_ == '\n' || *text_ == '#';
}

bool Words::next_line() {
  while (text_ != end_ && *text_ != '\n') ++text_;
  if (text_ == end_) return false;
  ++text_;
  ++line_;
  line_start_ = text_;
  return true;
}

}  // namespace sysrewrite::deny
