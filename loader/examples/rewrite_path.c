/* Changes an argument and lets the call pass: who opens one file gets another.
 *
 *     sysload --hook ./rewrite_path.so:from=/etc/hostname:to=/tmp/hostname ./program
 *
 * The program's own string is not touched: it may be read-only, or shorter, or looked at later. The
 * new one lies in memory that the hook is given for as long as the call takes.
 */
#include <asm/unistd.h>
#include <sysload/hook.h>

static char from[4096], to[4096];
static uint64_t to_size; /* with its NUL */

static uint64_t is_equal(const char* a, const char* b) {
  while (*a != 0 && *a == *b) ++a, ++b;
  return *a == *b;
}

static enum sysload_verdict entry(struct sysload_hook* hook, struct sysload_thread* thread,
                                  struct sysload_call* call) {
  const struct sysload_api* api = hook->api;
  uint64_t* path = &call->argument[call->number == __NR_openat ? 1 : 0];
  char asked[4096];
  char* instead;
  (void)thread;
  if (api->read_string(asked, *path, sizeof(asked)) < 0 || !is_equal(asked, from))
    return SYSLOAD_PASS;
  instead = api->call_memory(call, to_size);
  if (instead == 0) return SYSLOAD_PASS;
  for (uint64_t i = 0; i < to_size; ++i) instead[i] = to[i];
  *path = (uint64_t)instead;
  return SYSLOAD_PASS;
}

int sysload_hook_init(struct sysload_hook* hook) {
  const int64_t length = hook->api->option(hook, "to", to, sizeof(to));
  if (length < 0 || hook->api->option(hook, "from", from, sizeof(from)) < 0)
    hook->api->fail(hook, "from=PATH:to=PATH is needed");
  to_size = (uint64_t)length + 1;
  hook->entry = entry;
  sysload_want_entry(hook, __NR_open);
  sysload_want_entry(hook, __NR_openat);
  return 0;
}
