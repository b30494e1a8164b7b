/* Signals that a program queues to itself with the si_code of a fault, while it has them blocked: they wait, whatever
 * calls it makes meanwhile, and come when they are let in.
 *
 * The kernel delivers what looks like a fault first, blocked or not, as soon as a real fault comes. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
enum { kSignals = sizeof signals / sizeof signals[0] };
enum Way { kToThread, kToProcess };

static char said[4096];

static void note(const char *format, int a, int b, int c) {
  char text[100];
  snprintf(text, sizeof text, format, a, b, c);
  strncat(said, text, sizeof said - strlen(said) - 1);
}

static void on_signal(int signal, siginfo_t *info, void *context) {
  const sigset_t *const mask = &((ucontext_t *)context)->uc_sigmask;
  note(" [%d code %d value %x", signal, info->si_code, (int)(long)info->si_value.sival_ptr);
  note(" blocked before %d, calls %d]", sigismember(mask, signal), getppid() > 0, 0);
}

static void handle(int signal, void (*function)(int, siginfo_t *, void *), int flags) {
  struct sigaction action = {.sa_flags = flags | SA_SIGINFO};
  action.sa_sigaction = function;
  if (flags & SA_RESTART) sigfillset(&action.sa_mask);
  if (sigaction(signal, &action, NULL) != 0) exit(2);
}

static void set_default(int signal) {
  struct sigaction action = {.sa_handler = SIG_DFL};
  if (sigaction(signal, &action, NULL) != 0) exit(2);
}

static void queue(int signal, int code, enum Way way) {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  info.si_signo = signal;
  info.si_code = code;
  info.si_value.sival_ptr = (void *)(long)(0x1000 + signal);
  const long answer = way == kToThread
                          ? syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), signal, &info)
                          : syscall(SYS_rt_sigqueueinfo, getpid(), signal, &info);
  if (answer != 0) exit(3);
}

static void block(int signal, int how) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  if (pthread_sigmask(how, &set, NULL) != 0) exit(2);
}

/* Calls of all kinds of ways into the kernel, and how many of ours wait. */
static int pending_after_calls(void) {
  sigset_t set;
  int count = 0;
  for (int i = 0; i < 5; i++) syscall(SYS_getppid), getpgid(0), time(NULL);
  sigpending(&set);
  for (int i = 0; i < kSignals; i++) count += sigismember(&set, signals[i]);
  return count;
}

static void take(int signal) {
  const struct timespec none = {0, 0};
  sigset_t set;
  siginfo_t info;
  sigemptyset(&set);
  sigaddset(&set, signal);
  memset(&info, 0, sizeof info);
  const int taken = sigtimedwait(&set, &info, &none);
  note(" taken %d code %d value %x", taken, info.si_code, (int)(long)info.si_value.sival_ptr);
}

static void say(const char *what, int signal, int code, enum Way way) {
  printf("%s, signal %d, code %d, to the %s:%s\n", what, signal, code, way == kToThread ? "thread" : "process", said);
  fflush(stdout);
  said[0] = 0;
}

static void one(int signal, int code, enum Way way, int flags) {
  handle(signal, on_signal, flags);
  block(signal, SIG_BLOCK);
  queue(signal, code, way);
  note(" %d wait", pending_after_calls(), 0, 0);
  block(signal, SIG_UNBLOCK);
  note(", then %d", pending_after_calls(), 0, 0);
  say("handled", signal, code, way);

  set_default(signal);
  block(signal, SIG_BLOCK);
  queue(signal, code, way);
  note(" %d wait", pending_after_calls(), 0, 0);
  take(signal);
  say("at its default", signal, code, way);
  block(signal, SIG_UNBLOCK);
}

/* Those that wait in one queue, and come in one order. */
static void all(int code, enum Way way, int flags) {
  for (int i = 0; i < kSignals; i++) {
    handle(signals[i], on_signal, flags);
    block(signals[i], SIG_BLOCK);
    queue(signals[i], code, way);
  }
  note(" %d wait", pending_after_calls(), 0, 0);
  take(SIGBUS);
  for (int i = 0; i < kSignals; i++) {
    block(signals[i], SIG_UNBLOCK);
    note(" %d wait", pending_after_calls(), 0, 0);
  }
  say("all", flags, code, way);
}

/* The signal waits while a handler runs that has blocked it, and makes calls. */
static volatile int inner;

static void outer(int signal, siginfo_t *info, void *context) {
  (void)info, (void)context;
  queue(inner, 1, kToThread);
  note(" in the handler of %d %d wait", signal, pending_after_calls(), 0);
}

static void in_handler(int flags) {
  for (int i = 0; i < kSignals; i++) {
    inner = signals[i];
    handle(inner, on_signal, flags);
    handle(SIGUSR1, outer, SA_RESTART | flags); /* all blocked */
    raise(SIGUSR1);
    say("in a handler", inner, 1, kToThread);
  }
}

static void *of_thread(void *nothing) {
  static char alternate[65536];
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  for (int i = 0; i < kSignals; i++)
    for (int code = 1; code < 0x100; code += 0x7f) one(signals[i], code, kToThread, 0);
  all(1, kToThread, 0);
  if (sigaltstack(&stack, NULL) != 0) exit(2);
  one(SIGSEGV, 2, kToThread, SA_ONSTACK);
  all(2, kToThread, SA_ONSTACK);
  all(2, kToThread, SA_ONSTACK | SA_NODEFER | SA_RESTART);
  in_handler(SA_ONSTACK);
  return nothing;
}

int main(void) {
  pthread_t thread;
  for (int i = 0; i < kSignals; i++)
    for (enum Way way = kToThread; way <= kToProcess; way++) {
      one(signals[i], 1, way, 0);
      one(signals[i], 2, way, SA_NODEFER);
      one(signals[i], SI_KERNEL, way, SA_RESETHAND);
    }
  all(1, kToThread, 0);
  all(1, kToThread, SA_RESTART);
  all(1, kToProcess, 0);
  in_handler(0);
  if (pthread_create(&thread, NULL, of_thread, NULL) != 0) return 2;
  pthread_join(thread, NULL);
  return 0;
}
