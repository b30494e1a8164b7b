#include "loader/hooks/hooks.h"

// Looks at every call and lets it pass: what a hook costs, and a hook to test the others' ground
// with.
//
//   pass              entry() alone
//   pass:exit         exit() alone
//   pass:entry:exit   both

namespace {

sysload_verdict on_entry(sysload_hook* /*hook*/, sysload_thread* /*thread*/, sysload_call* call) {
  call->scratch[0] = call->number;
  return SYSLOAD_PASS;
}

void on_exit(sysload_hook* /*hook*/, sysload_thread* /*thread*/, sysload_call* call) {
  call->scratch[1] = call->number;
}

}  // namespace

int sysload_hook_init_pass(sysload_hook* hook) {
  char value[8];
  const bool entry = hook->api->option(hook, "entry", value, sizeof(value)) >= 0;
  const bool exit = hook->api->option(hook, "exit", value, sizeof(value)) >= 0;
  hook->entry = &on_entry;
  hook->exit = &on_exit;
  sysload_want_all(hook, static_cast<int>(entry || !exit), static_cast<int>(exit));
  return 0;
}
