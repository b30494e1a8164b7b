#include <cstring>

#include "loader/hooks/hooks.h"
#include "loader/hooks/option_list.h"

// Looks at calls and lets them pass: what a hook costs, and a hook to try the ground of the others
// with.
//
//   pass              entry() alone, for every call
//   pass:exit         exit() alone
//   pass:entry:exit   both
//   pass:only=NAME    for one call alone
//   pass:answer       answers with ENOSYS instead, where only= says what
//   pass:vectors      as a hook that changes vector registers
//   pass:vectors:x87  and the x87

namespace {

constexpr int64_t kNoSuchCall = -38;  // -ENOSYS

sysload_verdict on_entry(sysload_hook* /*hook*/, sysload_thread* /*thread*/, sysload_call* call) {
  call->scratch[0] = call->number;
  return SYSLOAD_PASS;
}

sysload_verdict on_entry_answer(sysload_hook* /*hook*/, sysload_thread* /*thread*/,
                                sysload_call* call) {
  call->result = kNoSuchCall;
  return SYSLOAD_ANSWER;
}

void on_exit(sysload_hook* /*hook*/, sysload_thread* /*thread*/, sysload_call* call) {
  call->scratch[1] = call->number;
}

constexpr sysrewrite::KnownOption kOptions[] = {{"entry", false},   {"exit", false},
                                                {"only", true},     {"answer", false},
                                                {"vectors", false}, {"x87", false}};

// A name, or a number.
uint64_t wanted_call(sysload_hook* hook, const char* text) {
  uint64_t number = 0;
  const char* at = text;
  for (; *at >= '0' && *at <= '9'; ++at) number = number * 10 + static_cast<uint64_t>(*at - '0');
  if (*at == 0 && at != text && number < SYSLOAD_MOST_NUMBERS) return number;
  const int64_t named = hook->api->call_number(text);
  if (named < 0) hook->api->fail(hook, "only=%s: there is no such system call", text);
  return static_cast<uint64_t>(named);
}

}  // namespace

int sysload_hook_init_pass(sysload_hook* hook) {
  using sysrewrite::has_option;
  sysrewrite::check_options(hook, kOptions, "entry, exit, only=, answer, vectors or x87");
  const bool exit = has_option(*hook, "exit"), entry = has_option(*hook, "entry") || !exit;
  const bool answers = has_option(*hook, "answer"), is_one = has_option(*hook, "only");
  char only[32];
  if (is_one && hook->api->option(hook, "only", only, sizeof(only)) < 0)
    hook->api->fail(hook, "only=: there is no system call with so long a name");
  if (answers && !is_one) hook->api->fail(hook, "answer goes with only=CALL");
  if (has_option(*hook, "vectors")) hook->flags |= SYSLOAD_VECTORS | SYSLOAD_NO_X87;
  if (has_option(*hook, "x87")) hook->flags &= ~SYSLOAD_NO_X87;
  hook->entry = answers ? &on_entry_answer : &on_entry;
  hook->exit = &on_exit;
  if (!is_one) {
    sysload_want_all(hook, static_cast<int>(entry), static_cast<int>(exit));
    return 0;
  }
  const uint64_t number = wanted_call(hook, only);
  if (entry) sysload_want_entry(hook, number);
  if (exit) sysload_want_exit(hook, number);
  return 0;
}
