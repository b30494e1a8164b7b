/* Signals of a user who may have none queued (RLIMIT_SIGPENDING): those of timers have their place all the same, kill's
 * come without a siginfo, and none is lost.
 *
 *   pending N   chains of N signals each; every signal makes the next one be sent, so that one that is lost ends its
 *               chain, and is seen
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum Kind { kProcess, kThread, kInterval, kKill };

static struct Chain {
  const char *name;
  enum Kind kind;
  int signal; /* of real-time ones the number above SIGRTMIN, negative */
  long period;
  timer_t timer;
  volatile int seen, odd;
} chains[] = {
    {"a real-time signal of a timer", kProcess, 0, 50000, 0, 0, 0},
    {"a standard signal of a timer", kProcess, SIGUSR1, 57000, 0, 0, 0},
    {"a real-time signal for this thread", kThread, -1, 43000, 0, 0, 0},
    {"another of the same number", kThread, -1, 43000, 0, 0, 0},
    {"a third one", kThread, -1, 61000, 0, 0, 0},
    {"a standard signal for this thread", kThread, SIGUSR2, 59000, 0, 0, 0},
    {"an interval timer's", kInterval, SIGALRM, 47000, 0, 0, 0},
    {"a real-time signal by kill", kKill, -2, 0, 0, 0, 0},
};
enum { kChains = sizeof chains / sizeof chains[0], kByKill = kChains - 1 };

static int most;
static volatile int *handshake; /* how many signals of the child's have been handled */

static int number_of(const struct Chain *chain) { return chain->signal > 0 ? chain->signal : SIGRTMIN - chain->signal; }

static void arm(struct Chain *chain) {
  if (chain->seen >= most) return;
  const struct itimerspec once = {{0, 0}, {0, chain->period}};
  const struct itimerval interval = {{0, 0}, {0, chain->period / 1000}};
  if (chain->kind == kInterval ? setitimer(ITIMER_REAL, &interval, NULL) != 0
                               : timer_settime(chain->timer, 0, &once, NULL) != 0)
    _exit(3);
}

static struct Chain *chain_of(int signal, const siginfo_t *info) {
  if (signal == SIGALRM) return &chains[kByKill - 1];
  if (signal == number_of(&chains[kByKill])) return &chains[kByKill];
  for (int i = 0; i < kChains; i++)
    if (number_of(&chains[i]) == signal && info->si_code == SI_TIMER && info->si_value.sival_int == 4711 + i)
      return &chains[i];
  for (int i = 0; i < kChains; i++) /* what was queued for it has been lost */
    if (number_of(&chains[i]) == signal) return chains[i].odd++, &chains[i];
  _exit(4);
}

static void on_signal(int signal, siginfo_t *info, void *context) {
  (void)context;
  struct Chain *const chain = chain_of(signal, info);
  chain->seen++;
  switch (chain->kind) {
    case kKill:
      chain->odd += info->si_code != SI_USER || info->si_pid != 0;
      *handshake = chain->seen;
      break;
    case kInterval:
      chain->odd += info->si_code != SI_KERNEL;
      arm(chain);
      break;
    default:
      chain->odd += info->si_overrun != 0;
      arm(chain);
  }
}

static void prepare(struct Chain *chain) {
  struct sigaction action = {.sa_flags = SA_SIGINFO | SA_RESTART};
  action.sa_sigaction = on_signal;
  if (sigaction(number_of(chain), &action, NULL) != 0) exit(2);
  if (chain->kind != kProcess && chain->kind != kThread) return;
  struct sigevent event = {.sigev_notify = chain->kind == kThread ? SIGEV_THREAD_ID : SIGEV_SIGNAL,
                           .sigev_signo = number_of(chain),
                           .sigev_value.sival_int = 4711 + (int)(chain - chains)};
  if (chain->kind == kThread) event.sigev_notify_thread_id = (int)syscall(SYS_gettid);
  if (timer_create(CLOCK_MONOTONIC, &event, &chain->timer) != 0) exit(2);
}

static pid_t killer(pid_t parent) {
  const pid_t child = fork();
  if (child != 0) return child;
  const struct timespec moment = {0, 20000};
  for (int i = 0; i < most && getppid() == parent; i++) {
    if (kill(parent, number_of(&chains[kByKill])) != 0) _exit(3);
    while (*handshake <= i && getppid() == parent) nanosleep(&moment, NULL);
  }
  _exit(0);
}

static int is_done(void) {
  for (int i = 0; i < kChains; i++)
    if (chains[i].seen < most) return 0;
  return 1;
}

/* How many there are is what matters for those that share a number and may be taken for each other. */
int main(int argc, char **argv) {
  const struct rlimit none = {0, 0};
  most = argc > 1 ? atoi(argv[1]) : 100;
  handshake = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < kChains; i++) prepare(&chains[i]);
  if (handshake == MAP_FAILED || setrlimit(RLIMIT_SIGPENDING, &none) != 0) return 2;
  const pid_t child = killer(getpid());
  for (int i = 0; i < kChains; i++)
    if (chains[i].kind != kKill) arm(&chains[i]);
  const time_t end = time(NULL) + 60;
  while (!is_done() && time(NULL) < end)
    for (int i = 0; i < 100; i++) syscall(SYS_getppid);
  for (int i = 0; i < kChains; i++)
    printf("%s: %d of %d, %d odd\n", chains[i].name, chains[i].seen, most, chains[i].odd);
  if (!is_done()) kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  return !is_done();
}
