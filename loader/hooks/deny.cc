// The hook `deny`: a policy file says which calls happen, fail, are logged, or end the process.
//
//     init     policy text (from the file, or from the first process of the tree) -> Policy
//     entry    rules in order, the first that decides counts; those that judge the answer are only
//              noted, a bit each in the call's scratch, since what they ask about the arguments may
//              have changed when the call is done (a path, after chdir)
//     exit     the rules that were noted, in order, the same way
//
// After init nothing is written, so threads need no lock and forked children nothing at all.
#include <asm/unistd.h>

#include <cstring>

#include "loader/hooks/deny_judge.h"
#include "loader/hooks/deny_line.h"
#include "loader/hooks/deny_source.h"
#include "loader/hooks/hooks.h"
#include "loader/hooks/option_list.h"

namespace sysrewrite::deny {

namespace {

struct Data {
  char name[kLongestPath];  // of the policy
  bool reports;             // what was denied, too
  Policy policy;
};

uint64_t pid_of(const sysload_api* api) {
  return static_cast<uint64_t>(api->syscall(__NR_getpid, 0, 0, 0, 0, 0, 0));
}

void report(sysload_hook* hook, const Data& data, const sysload_call& call, const char* what,
            const char* result, uint32_t line) {
  const CallText text(hook->api, call);
  hook->api->print(hook, "deny: %lu: %s %s%s (%s:%u)\n",
                   static_cast<unsigned long>(pid_of(hook->api)), what, text.text(), result,
                   data.name, line);
}

void report_answer(sysload_hook* hook, const Data& data, const sysload_call& call,
                   const Rule& rule) {
  char answer[64];
  const char* error = call.result < 0 ? hook->api->error_name(call.result) : nullptr;
  hook->api->format(answer, sizeof(answer), " = %ld%s%s", static_cast<long>(call.result),
                    error != nullptr ? " " : "", error != nullptr ? error : "");
  report(hook, data, call, rule.action == Action::kLog ? "log" : "denied", answer, rule.line);
}

[[noreturn]] void kill_process(sysload_hook* hook, const Data& data, const sysload_call& call,
                               uint32_t line) {
  constexpr uint64_t kSigkill = 9;
  report(hook, data, call, "killed for", "", line);
  hook->api->syscall(__NR_kill, pid_of(hook->api), kSigkill, 0, 0, 0, 0);
  __builtin_trap();  // the first process of a pid namespace is not killed by its own
}

// What a decision does to a call that is about to be made.
sysload_verdict decide(sysload_hook* hook, const Data& data, sysload_call* call, Action action,
                       uint16_t error, uint32_t line) {
  if (action == Action::kKill) kill_process(hook, data, *call, line);
  if (action == Action::kLog) report(hook, data, *call, "log", "", line);
  if (action != Action::kDeny) return SYSLOAD_PASS;
  if (data.reports) report(hook, data, *call, "denied", "", line);
  call->result = -int64_t{error};
  return SYSLOAD_ANSWER;
}

sysload_verdict entry(sysload_hook* hook, sysload_thread* /*thread*/, sysload_call* call) {
  const Data& data = *static_cast<const Data*>(hook->data);
  const Policy& policy = data.policy;
  const uint32_t index = index_of(call->number);
  const Range range = policy.range[index];
  Judge judge(hook->api, policy, *call);
  const Rule* decisive = nullptr;
  for (uint32_t i = range.first; i < range.end; ++i) {
    const Rule& rule = policy.rules[i];
    if (!rule.is_about(index) || (decisive != nullptr && !rule.judges_answer)) continue;
    if (!judge.holds_before(rule)) continue;
    if (rule.judges_answer) {
      call->scratch[i / 64] |= uint64_t{1} << i % 64;
    } else if (rule.action == Action::kLog) {
      report(hook, data, *call, "log", "", rule.line);
    } else {
      decisive = &rule;
      if (rule.action != Action::kAllow) break;
    }
  }
  if (decisive != nullptr)
    return decide(hook, data, call, decisive->action, decisive->error, decisive->line);
  if (policy.otherwise == Action::kAllow || is_indispensable(index)) return SYSLOAD_PASS;
  return decide(hook, data, call, policy.otherwise, policy.otherwise_error, policy.otherwise_line);
}

void exit(sysload_hook* hook, sysload_thread* /*thread*/, sysload_call* call) {
  if (call->result == SYSLOAD_RESTARTED) return;  // it comes again
  const Data& data = *static_cast<const Data*>(hook->data);
  const Policy& policy = data.policy;
  const Range range = policy.range[index_of(call->number)];
  Judge judge(hook->api, policy, *call);
  for (uint32_t i = range.first; i < range.end; ++i) {
    const Rule& rule = policy.rules[i];
    if ((call->scratch[i / 64] >> i % 64 & 1) == 0 || !judge.holds_after(rule)) continue;
    if (rule.action == Action::kAllow) return;
    if (rule.action == Action::kKill) kill_process(hook, data, *call, rule.line);
    if (rule.action == Action::kLog || data.reports) report_answer(hook, data, *call, rule);
    if (rule.action != Action::kDeny) continue;
    call->result = -int64_t{rule.error};
    return;
  }
}

void set_interest(sysload_hook* hook, const Policy& policy) {
  for (uint32_t number = 0; number < kNumbers; ++number) {
    if (policy.otherwise != Action::kAllow && !is_indispensable(number))
      sysload_want_entry(hook, number);
    const Range range = policy.range[number];
    for (uint32_t i = range.first; i < range.end; ++i) {
      if (!policy.rules[i].is_about(number)) continue;
      sysload_want_entry(hook, number);
      if (policy.rules[i].judges_answer) sysload_want_exit(hook, number);
    }
  }
}

constexpr KnownOption kOptions[] = {{"policy", true}, {"report", false}};

}  // namespace

}  // namespace sysrewrite::deny

using namespace sysrewrite::deny;

int sysload_hook_init_deny(struct sysload_hook* hook) {
  const sysload_api* api = hook->api;
  check_options(hook, kOptions, "policy=FILE, report or output=PATH");
  auto* data = static_cast<Data*>(api->allocate(sizeof(Data)));
  if (data == nullptr) api->fail(hook, "no memory");
  const PolicyText text = policy_text(hook, data->name, sizeof(data->name));
  data->reports = sysrewrite::has_option(*hook, "report");
  Mistake mistake{};
  if (!parse_policy(api, text.text, text.size, data->policy, mistake))
    api->fail(hook, "%s:%u:%u: found %s, expected %s", data->name, mistake.line, mistake.column,
              mistake.found, mistake.expected);
  set_interest(hook, data->policy);
  hook->data = data;
  hook->entry = &entry;
  hook->exit = &exit;
  return 0;
}
