// A policy of the hook `deny`, as it is asked about calls. The language is told in
// docs/hooks/deny.md; this is what remains of it after parsing:
//
//     rules        in the order of the file, each with a bitmap of the calls that it is about
//     conditions   of all rules in a row, each rule has some that follow each other
//     texts        of conditions on paths, NUL-ended
//     range        for each number, the first and last rule that is about it
#ifndef SYSREWRITE_LOADER_HOOKS_DENY_POLICY_H_
#define SYSREWRITE_LOADER_HOOKS_DENY_POLICY_H_

#include "loader/include/sysload/hook.h"

namespace sysrewrite::deny {

inline constexpr uint32_t kMostRules = 256;  // as many as sysload_call.scratch has bits
inline constexpr uint32_t kMostConditions = 1024;
inline constexpr uint32_t kMostText = 32768;
inline constexpr uint32_t kMostPolicyBytes = 65536 - 16;
inline constexpr uint32_t kNumbers = SYSLOAD_MOST_NUMBERS;

// Numbers from the last on count as the last, as they do in interest bitmaps. The kernel looks at
// the lower half of rax only (linux, arch/x86/entry/common.c, do_syscall_64()).
inline uint32_t index_of(uint64_t number) {
  const auto low = static_cast<uint32_t>(number);
  return low < kNumbers - 1 ? low : kNumbers - 1;
}

enum class Action : uint8_t { kAllow, kDeny, kKill, kLog };

enum class Subject : uint8_t {
  kWord,     // an argument, all 64 bits of it, unsigned
  kInt,      // the lower half of an argument, signed
  kAnswer,   // what the call answered
  kPath,     // a path that the call is given
  kWriting,  // whether an open asks for more than reading
};

enum class Relation : uint8_t {
  kEqual,
  kNotEqual,
  kLess,
  kAtMost,
  kMore,
  kAtLeast,
  kIs,     // of paths: exactly this one
  kUnder,  // this one, or below it
  kLike,   // a pattern
};

inline constexpr uint8_t kAnyArgument = 0xff;

struct Condition {
  Subject subject;
  Relation relation;
  uint8_t argument;  // 0 to 5; of paths also kAnyArgument
  uint64_t mask;     // for numbers: looked at through it
  uint64_t value;
  uint32_t text;  // for paths: where it starts in Policy.texts
};

struct Rule {
  Action action;
  bool judges_answer;  // asked after the call
  bool every_call;     // `*`: conditions leave those calls that they make sense for
  uint16_t error;      // for kDeny
  uint32_t line;
  uint32_t first_condition, condition_count;
  uint64_t calls[kNumbers / 64];

  bool is_about(uint32_t index) const { return (calls[index / 64] >> index % 64 & 1) != 0; }
};

struct Range {
  uint16_t first, end;  // end is behind the last; equal: no rule
};

struct Policy {
  Action otherwise;          // where no rule decides
  uint16_t otherwise_error;  // where that is kDeny
  uint32_t otherwise_line;
  uint32_t rule_count, condition_count, text_size;
  Rule rules[kMostRules];
  Condition conditions[kMostConditions];
  Range range[kNumbers];
  char texts[kMostText];
};

// Where a policy is wrong.
struct Mistake {
  uint32_t line, column;  // from 1, in bytes
  const char* expected;
  char found[64];
};

// Reads a policy into memory that is 0. False, with the first mistake, where it is wrong.
bool parse_policy(const sysload_api* api, const char* text, uint32_t size, Policy& policy,
                  Mistake& mistake);

// Calls that no rule may keep from happening: without them a thread cannot even end, or comes back
// from a signal handler with registers that make no sense.
bool is_indispensable(uint64_t number);

}  // namespace sysrewrite::deny

#endif  // SYSREWRITE_LOADER_HOOKS_DENY_POLICY_H_
