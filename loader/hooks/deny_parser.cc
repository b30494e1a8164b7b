// Reads a policy. Recursive descent, a function for each rule of the grammar:
//
//     policy     = { [ default | rule ] [ "#" comment ] newline }
//     default    = "default" ( "allow" | "deny" ERROR | "kill" | "log" )
//     rule       = ( "allow" | "deny" ERROR | "kill" | "log" ) calls { condition }
//     calls      = "*" | CALL { "," CALL }
//     condition  = deny_conditions.cc
#include <asm/unistd.h>

#include <cstring>

#include "loader/hooks/deny_conditions.h"
#include "loader/hooks/deny_names.h"
#include "loader/hooks/deny_path.h"

namespace sysrewrite::deny {

namespace {

class PolicyParser {
 public:
  PolicyParser(const sysload_api* api, const char* text, uint32_t size, Policy& policy,
               Mistake& mistake)
      : api_(api), words_(text, size), policy_(policy), mistake_(mistake) {}

  bool run() {
    do {
      if (!line()) return false;
    } while (words_.next_line());
    return true;
  }

 private:
  bool line();
  bool decision(const Word& verb, Action& action, uint16_t& error);
  bool default_line();
  bool rule(const Word& verb);
  bool calls(Rule& rule);
  bool one_call(const Word& word, Rule& rule);
  bool refuse(const Word& word, const char* expected) {
    return refuse_word(word, expected, mistake_);
  }

  const sysload_api* api_;
  Words words_;
  Policy& policy_;
  Mistake& mistake_;
};

bool PolicyParser::line() {
  const Word verb = words_.take();
  if (verb.is_end()) return true;
  if (verb.is("default")) return default_line();
  return rule(verb);
}

// The verb, and the error behind `deny`.
bool PolicyParser::decision(const Word& verb, Action& action, uint16_t& error) {
  if (verb.is("allow")) {
    action = Action::kAllow;
  } else if (verb.is("kill")) {
    action = Action::kKill;
  } else if (verb.is("log")) {
    action = Action::kLog;
  } else if (verb.is("deny")) {
    action = Action::kDeny;
    const Word name = words_.take();
    error = error_number(api_, name.text, name.length);
    if (error == 0) return refuse(name, "the name of an error, as EPERM");
  } else {
    return refuse(verb, "allow, deny, kill, log or default");
  }
  return true;
}

bool PolicyParser::default_line() {
  const Word verb = words_.take();
  if (policy_.otherwise_line != 0)
    return refuse(verb, "one default in a policy, and there was one");
  policy_.otherwise_line = verb.line;
  if (!verb.is("allow") && !verb.is("deny") && !verb.is("kill") && !verb.is("log"))
    return refuse(verb, "allow, deny, kill or log");
  if (!decision(verb, policy_.otherwise, policy_.otherwise_error)) return false;
  const Word rest = words_.take();
  return rest.is_end() || refuse(rest, "the end of the line");
}

bool PolicyParser::rule(const Word& verb) {
  if (policy_.rule_count == kMostRules) return refuse(verb, "at most 256 rules");
  Rule& rule = policy_.rules[policy_.rule_count];
  rule.line = verb.line;
  rule.first_condition = policy_.condition_count;
  if (!decision(verb, rule.action, rule.error) || !calls(rule)) return false;
  while (!words_.peek().is_end())
    if (!parse_condition(api_, words_, policy_, rule, mistake_)) return false;
  ++policy_.rule_count;
  return true;
}

bool PolicyParser::calls(Rule& rule) {
  Word word = words_.take();
  if (word.is("*")) {
    rule.every_call = true;
    memset(rule.calls, 0xff, sizeof(rule.calls));
    if (rule.action == Action::kAllow || rule.action == Action::kLog) return true;
    for (uint32_t i = 0; i < kNumbers; ++i)
      if (is_indispensable(i)) rule.calls[i / 64] &= ~(uint64_t{1} << i % 64);
    return true;
  }
  for (;;) {
    if (!one_call(word, rule)) return false;
    if (!words_.peek().is(",")) return true;
    words_.take();
    word = words_.take();
  }
}

bool PolicyParser::one_call(const Word& word, Rule& rule) {
  constexpr uint32_t kLongest = 31;
  char name[kLongest + 1] = {};
  int64_t number = -1;
  uint64_t written = 0;
  if (read_number(word, written)) {
    if (written < kNumbers - 1) number = static_cast<int64_t>(written);
  } else if (!word.is_end() && word.length <= kLongest) {
    memcpy(name, word.text, word.length);
    if (strlen(name) == word.length) number = api_->call_number(name);  // no NUL within
  }
  if (number < 0 || number >= kNumbers) return refuse(word, "the name of a system call, or *");
  const auto index = static_cast<uint32_t>(number);
  if (rule.action == Action::kDeny && is_indispensable(index))
    return refuse(word, "a call that can do without happening");
  rule.calls[index / 64] |= uint64_t{1} << index % 64;
  return true;
}

// For each number, which rules have to be asked.
void index_rules(Policy& policy) {
  for (uint32_t number = 0; number < kNumbers; ++number) {
    Range& range = policy.range[number];
    for (uint32_t i = 0; i < policy.rule_count; ++i) {
      if (!policy.rules[i].is_about(number)) continue;
      if (range.end == 0) range.first = static_cast<uint16_t>(i);
      range.end = static_cast<uint16_t>(i + 1);
    }
  }
}

}  // namespace

bool parse_policy(const sysload_api* api, const char* text, uint32_t size, Policy& policy,
                  Mistake& mistake) {
  if (!PolicyParser(api, text, size, policy, mistake).run()) return false;
  index_rules(policy);
  return true;
}

bool is_indispensable(uint64_t number) {
  return number == __NR_exit || number == __NR_exit_group || number == __NR_rt_sigreturn;
}

}  // namespace sysrewrite::deny
