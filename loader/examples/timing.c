/* Sees calls before and after: how many cycles the kernel takes for each, on average.
 *
 * What entry() notes in the call's scratch, exit() finds there, whatever other threads do
 * meanwhile.
 */
#include <sysload/hook.h>

#define NUMBERS 512

static struct { uint64_t calls, cycles; } table[NUMBERS];

static enum sysload_verdict entry(struct sysload_hook* hook, struct sysload_thread* thread,
                                  struct sysload_call* call) {
  (void)hook, (void)thread;
  call->scratch[0] = __builtin_ia32_rdtsc();
  return SYSLOAD_PASS;
}

static void on_exit(struct sysload_hook* hook, struct sysload_thread* thread,
                    struct sysload_call* call) {
  const uint64_t cycles = __builtin_ia32_rdtsc() - call->scratch[0];
  (void)hook, (void)thread;
  if (call->number >= NUMBERS) return;
  __atomic_fetch_add(&table[call->number].calls, 1, __ATOMIC_RELAXED);
  __atomic_fetch_add(&table[call->number].cycles, cycles, __ATOMIC_RELAXED);
}

static void finishing(struct sysload_hook* hook, int status) {
  (void)status;
  hook->api->print(hook, "%10s %12s  %s\n", "calls", "cycles each", "call");
  for (uint64_t i = 0; i < NUMBERS; ++i) {
    const char* name = hook->api->call_name(i);
    if (table[i].calls != 0)
      hook->api->print(hook, "%10lu %12lu  %s\n", (unsigned long)table[i].calls,
                       (unsigned long)(table[i].cycles / table[i].calls), name != 0 ? name : "?");
  }
}

int sysload_hook_init(struct sysload_hook* hook) {
  sysload_want_all(hook, 1, 1);
  hook->entry = entry;
  hook->exit = on_exit;
  hook->finishing = finishing;
  return 0;
}
