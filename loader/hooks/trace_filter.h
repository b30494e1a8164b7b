// The filter expression: which calls are traced.
//
//     expression   ["!"] item {"," item}
//     item         ["?"] (name | number | "%" class | "all" | "none")
//
// As strace's -e trace= has it: "!" stands before the whole list and turns it round; "?" makes an
// unknown name no mistake. Regular expressions are refused.
#ifndef LOADER_HOOKS_TRACE_FILTER_H_
#define LOADER_HOOKS_TRACE_FILTER_H_

#include <cstdint>

#include "loader/include/sysload/hook.h"

namespace sysrewrite::trace {

// A bit for each number.
struct CallSet {
  uint64_t word[SYSLOAD_MOST_NUMBERS / 64];

  bool has(uint64_t number) const {
    if (number >= SYSLOAD_MOST_NUMBERS) number = SYSLOAD_MOST_NUMBERS - 1;
    return (word[number / 64] >> number % 64 & 1) != 0;
  }
  void add(uint64_t number) { word[number / 64] |= uint64_t{1} << number % 64; }
};

struct FilterMistake {
  uint64_t position;  // of the item in the expression, from 1 on
  const char* item;   // what was found there
  uint64_t length;
  const char* expected;
  char nearest[32];  // a name that was perhaps meant; "" where none is near
};

// False, and the mistake, where the expression has one. The set is cleared first.
bool parse_filter(const sysload_api& api, const char* expression, CallSet& calls,
                  FilterMistake& mistake);

}  // namespace sysrewrite::trace

#endif  // LOADER_HOOKS_TRACE_FILTER_H_
