// Conditions of a policy's rules: how they are read.
#ifndef SYSREWRITE_LOADER_HOOKS_DENY_CONDITIONS_H_
#define SYSREWRITE_LOADER_HOOKS_DENY_CONDITIONS_H_

#include "loader/hooks/deny_policy.h"
#include "loader/hooks/deny_words.h"

namespace sysrewrite::deny {

// Notes a mistake at a word, and returns false.
bool refuse_word(const Word& word, const char* expected, Mistake& mistake);

// 12, 0x1f, 0755, -1; false for anything else and for what 64 bits do not hold.
bool read_number(const Word& word, uint64_t& value);

// Adds the next condition to the rule that is being read. False, with the mistake, where it is
// wrong.
bool parse_condition(const sysload_api* api, Words& words, Policy& policy, Rule& rule,
                     Mistake& mistake);

}  // namespace sysrewrite::deny

#endif  // SYSREWRITE_LOADER_HOOKS_DENY_CONDITIONS_H_
