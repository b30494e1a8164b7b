// The grammar of conditions:
//
//     condition  = number | path | "writing"
//     number     = ( "arg" N | "int" N | "answer" ) [ "&" value ] relation value
//     relation   = "==" | "!=" | "<" | "<=" | ">" | ">="
//     value      = one { "|" one }        one = NUMBER | CONSTANT | ERROR (of answers)
//     path       = "path" [ "(" N ")" ] ( "is" | "under" | "like" ) PATH
#include "loader/hooks/deny_conditions.h"

#include <cstring>

#include "loader/hooks/deny_names.h"
#include "loader/hooks/deny_path.h"
#include "loader/hooks/deny_range.h"

namespace sysrewrite::deny {

namespace {

class ConditionParser {
 public:
  ConditionParser(const sysload_api* api, Words& words, Policy& policy, Rule& rule,
                  Mistake& mistake)
      : api_(api), words_(words), policy_(policy), rule_(rule), mistake_(mistake) {}

  bool run();

 private:
  bool number(Condition& condition);
  bool relation(Condition& condition);
  bool makes_sense(const Condition& condition, const Word& value);
  bool value(const Condition& condition, uint64_t& into);
  bool one_value(const Condition& condition, const Word& word, uint64_t& into);
  bool path(const Word& subject, Condition& condition);
  bool path_argument(Word word, Condition& condition);
  bool path_text(Condition& condition);
  bool writing(const Word& word);
  bool refuse(const Word& word, const char* expected) {
    return refuse_word(word, expected, mistake_);
  }

  const sysload_api* api_;
  Words& words_;
  Policy& policy_;
  Rule& rule_;
  Mistake& mistake_;
};

// "arg3": which.
bool numbered(const Word& word, const char* name, uint8_t& argument) {
  constexpr uint32_t kLength = 3;
  if (word.length != kLength + 1 || memcmp(word.text, name, kLength) != 0) return false;
  const char digit = word.text[kLength];
  if (digit < '0' || digit > '5') return false;
  argument = static_cast<uint8_t>(digit - '0');
  return true;
}

bool ConditionParser::run() {
  const Word subject = words_.take();
  if (policy_.condition_count == kMostConditions) return refuse(subject, "at most 1024 conditions");
  Condition& condition = policy_.conditions[policy_.condition_count];
  condition = {};
  condition.mask = ~uint64_t{0};
  if (numbered(subject, "arg", condition.argument)) {
    condition.subject = Subject::kWord;
    if (!number(condition)) return false;
  } else if (numbered(subject, "int", condition.argument)) {
    condition.subject = Subject::kInt;
    if (!number(condition)) return false;
  } else if (subject.is("answer")) {
    condition.subject = Subject::kAnswer;
    rule_.judges_answer = true;
    if (!number(condition)) return false;
  } else if (subject.is("path")) {
    condition.subject = Subject::kPath;
    if (!path(subject, condition)) return false;
  } else if (subject.is("writing")) {
    condition.subject = Subject::kWriting;
    if (!writing(subject)) return false;
  } else {
    return refuse(subject,
                  "a condition (arg0 to arg5, int0 to int5, answer, path, writing), a comma, "
                  "or the end of the line");
  }
  ++policy_.condition_count;
  ++rule_.condition_count;
  return true;
}

bool ConditionParser::number(Condition& condition) {
  if (words_.peek().is("&")) {
    words_.take();
    if (!value(condition, condition.mask)) return false;
  }
  if (!relation(condition)) return false;
  const Word first = words_.peek();
  return value(condition, condition.value) && makes_sense(condition, first);
}

// One that never holds, or always, was meant otherwise.
bool ConditionParser::makes_sense(const Condition& condition, const Word& value) {
  if (!can_hold(condition)) return refuse(value, "a value with which the condition can hold");
  if (!can_fail(condition)) return refuse(value, "a value with which the condition can fail");
  for (uint32_t i = 0; i < rule_.condition_count; ++i)
    if (!go_together(policy_.conditions[rule_.first_condition + i], condition))
      return refuse(value, "a value that goes with the rule's other conditions");
  return true;
}

bool ConditionParser::relation(Condition& condition) {
  const Word word = words_.take();
  if (word.is("==")) {
    condition.relation = Relation::kEqual;
  } else if (word.is("!=")) {
    condition.relation = Relation::kNotEqual;
  } else if (word.is("<")) {
    condition.relation = Relation::kLess;
  } else if (word.is("<=")) {
    condition.relation = Relation::kAtMost;
  } else if (word.is(">")) {
    condition.relation = Relation::kMore;
  } else if (word.is(">=")) {
    condition.relation = Relation::kAtLeast;
  } else {
    return refuse(word, "==, !=, <, <=, > or >=");
  }
  return true;
}

bool ConditionParser::value(const Condition& condition, uint64_t& into) {
  into = 0;
  for (;;) {
    uint64_t one = 0;
    if (!one_value(condition, words_.take(), one)) return false;
    into |= one;
    if (!words_.peek().is("|")) return true;
    words_.take();
  }
}

bool ConditionParser::one_value(const Condition& condition, const Word& word, uint64_t& into) {
  if (condition.subject == Subject::kAnswer) {
    const uint16_t error = error_number(api_, word.text, word.length);
    if (error != 0) {
      into = uint64_t{0} - error;
      return true;
    }
    if (!read_number(word, into)) return refuse(word, "a number, or the name of an error");
    return true;
  }
  if (!read_number(word, into) && !constant_value(word.text, word.length, into))
    return refuse(word, "a number, or a constant as O_CREAT");
  if (condition.subject == Subject::kInt) {
    const auto number = static_cast<int64_t>(into);
    const bool is_of_bits =
        condition.relation == Relation::kEqual || condition.relation == Relation::kNotEqual;
    if (number < INT32_MIN || number > int64_t{UINT32_MAX})
      return refuse(word, "a number of 32 bits");
    if (!is_of_bits && number > INT32_MAX)
      return refuse(word, "a number from -2147483648 to 2147483647");
  }
  return true;
}

bool ConditionParser::path(const Word& subject, Condition& condition) {
  if (!path_argument(subject, condition)) return false;
  const Word how = words_.take();
  if (how.is("is")) {
    condition.relation = Relation::kIs;
  } else if (how.is("under")) {
    condition.relation = Relation::kUnder;
  } else if (how.is("like")) {
    condition.relation = Relation::kLike;
  } else {
    return refuse(how, "is, under or like");
  }
  return path_text(condition);
}

// Which argument; all of the rule's calls must have a path there. A rule for every call is about
// those that do.
bool ConditionParser::path_argument(Word word, Condition& condition) {
  condition.argument = kAnyArgument;
  if (words_.peek().is("(")) {
    words_.take();
    word = words_.take();
    uint64_t number = 0;
    if (!read_number(word, number) || number > 5) return refuse(word, "an argument, 0 to 5");
    condition.argument = static_cast<uint8_t>(number);
    const Word closing = words_.take();
    if (!closing.is(")")) return refuse(closing, "a closing bracket");
  }
  for (uint32_t i = 0; i < kNumbers; ++i) {
    if (!rule_.is_about(i)) continue;
    const PathArguments paths = possible_paths_of(i);
    bool has = false;
    for (uint32_t p = 0; p < paths.count; ++p)
      has = has || condition.argument == kAnyArgument || paths.at[p]->name == condition.argument;
    if (has) continue;
    if (!rule_.every_call)
      return refuse(word, condition.argument == kAnyArgument
                              ? "calls that all take a path"
                              : "an argument that is a path of every call named");
    rule_.calls[i / 64] &= ~(uint64_t{1} << i % 64);
  }
  return true;
}

// The text of a path or pattern, its quotation undone.
bool ConditionParser::path_text(Condition& condition) {
  bool closed = true;
  const Word word = words_.take_path(closed);
  if (!closed) return refuse(word, "a closing quotation mark");
  if (word.is_end()) return refuse(word, "an absolute path");
  if (kMostText - policy_.text_size <= word.length) return refuse(word, "less text in all paths");
  char* into = policy_.texts + policy_.text_size;
  uint32_t used = 0;
  const bool is_quoted = word.text[0] == '"';
  const uint32_t end = is_quoted ? word.length - 1 : word.length;
  for (uint32_t i = is_quoted ? 1 : 0; i < end; ++i) {
    if (is_quoted && word.text[i] == '\\' && i + 1 < end) ++i;
    if (word.text[i] == 0) return refuse(word, "a path without NUL bytes");
    into[used++] = word.text[i];
  }
  into[used] = 0;
  if (used > kLongestPattern) return refuse(word, "at most 1023 bytes");
  const bool is_pattern = condition.relation == Relation::kLike;
  if (into[0] != '/' && !(is_pattern && into[0] == '*'))
    return refuse(word, is_pattern ? "a pattern that begins with / or *" : "an absolute path");
  if (!is_pattern) normalize_path(into);
  condition.text = policy_.text_size;
  policy_.text_size += static_cast<uint32_t>(strlen(into)) + 1;
  return true;
}

bool ConditionParser::writing(const Word& word) {
  for (uint32_t i = 0; i < kNumbers; ++i) {
    if (!rule_.is_about(i) || opens(i)) continue;
    if (!rule_.every_call)
      return refuse(word, "only open, openat, openat2 and creat before writing");
    rule_.calls[i / 64] &= ~(uint64_t{1} << i % 64);
  }
  return true;
}

}  // namespace

bool refuse_word(const Word& word, const char* expected, Mistake& mistake) {
  mistake.line = word.line;
  mistake.column = word.column;
  mistake.expected = expected;
  uint32_t used = 0;
  const auto put = [&mistake, &used](char c) { mistake.found[used++] = c; };
  constexpr uint32_t kMostShown = 40;
  if (word.is_end()) {
    constexpr char kEnd[] = "the end of the line";
    memcpy(mistake.found, kEnd, sizeof(kEnd));
    return false;
  }
  put('\'');
  for (uint32_t i = 0; i < word.length && i < kMostShown; ++i)
    put(word.text[i] >= ' ' && word.text[i] != 0x7f ? word.text[i] : '?');
  if (word.length > kMostShown)
    for (int i = 0; i < 3; ++i) put('.');
  put('\'');
  put(0);
  return false;
}

bool read_number(const Word& word, uint64_t& value) {
  uint32_t at = 0;
  const bool is_negative = word.length > 1 && word.text[0] == '-';
  if (is_negative) ++at;
  unsigned base = 10;
  if (word.length - at > 2 && word.text[at] == '0' && (word.text[at + 1] | 0x20) == 'x') {
    base = 16;
    at += 2;
  } else if (word.length - at > 1 && word.text[at] == '0') {
    base = 8;
    ++at;
  }
  value = 0;
  const uint32_t first = at;
  for (; at < word.length; ++at) {
    const char c = word.text[at];
    const char lower = static_cast<char>(c | 0x20);
    unsigned digit = base;
    if (c >= '0' && c <= '9') digit = static_cast<unsigned>(c - '0');
    if (lower >= 'a' && lower <= 'f') digit = static_cast<unsigned>(lower - 'a' + 10);
    if (digit >= base || __builtin_mul_overflow(value, uint64_t{base}, &value) ||
        __builtin_add_overflow(value, uint64_t{digit}, &value))
      return false;
  }
  if (at == first) return false;
  if (is_negative && value > uint64_t{1} << 63) return false;
  if (is_negative) value = uint64_t{0} - value;
  return true;
}

bool parse_condition(const sysload_api* api, Words& words, Policy& policy, Rule& rule,
                     Mistake& mistake) {
  return ConditionParser(api, words, policy, rule, mistake).run();
}

}  // namespace sysrewrite::deny
