/* Sees calls and lets them pass: how many files a program opens.
 *
 *     cc -O2 -shared -fPIC -ffreestanding -nostdlib -mgeneral-regs-only -I loader/include \
 *        -o count_opens.so loader/examples/count_opens.c
 *     sysload --hook ./count_opens.so ./program
 */
#include <asm/unistd.h>
#include <sysload/hook.h>

/* Threads enter at once, so they add atomically. A forked child has a copy. */
static uint64_t opens;

static enum sysload_verdict entry(struct sysload_hook* hook, struct sysload_thread* thread,
                                  struct sysload_call* call) {
  (void)hook, (void)thread, (void)call;
  __atomic_fetch_add(&opens, 1, __ATOMIC_RELAXED);
  return SYSLOAD_PASS;
}

static void finishing(struct sysload_hook* hook, int status) {
  hook->api->print(hook, "%s opened %lu files and ended with %d\n", hook->api->program(),
                   (unsigned long)opens, status);
}

int sysload_hook_init(struct sysload_hook* hook) {
  sysload_want_entry(hook, __NR_open);
  sysload_want_entry(hook, __NR_openat);
  hook->entry = entry;
  hook->finishing = finishing;
  return 0;
}
