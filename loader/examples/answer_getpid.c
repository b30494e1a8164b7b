/* Answers a call without the kernel: every process is number 42, or what the option pid says.
 *
 *     sysload --hook ./answer_getpid.so:pid=7 ./program
 */
#include <asm/unistd.h>
#include <sysload/hook.h>

static enum sysload_verdict entry(struct sysload_hook* hook, struct sysload_thread* thread,
                                  struct sysload_call* call) {
  (void)thread;
  call->result = *(const int64_t*)hook->data;
  return SYSLOAD_ANSWER;
}

int sysload_hook_init(struct sysload_hook* hook) {
  static int64_t pid = 42;
  char text[16];
  if (hook->api->option(hook, "pid", text, sizeof(text)) >= 0) {
    pid = 0;
    for (const char* at = text; *at != 0; ++at) {
      if (*at < '0' || *at > '9' || pid > 1000000)
        hook->api->fail(hook, "pid=%s is no number of a process", text);
      pid = pid * 10 + (*at - '0');
    }
  }
  hook->data = &pid;
  hook->entry = entry;
  sysload_want_entry(hook, __NR_getpid);
  return 0;
}
