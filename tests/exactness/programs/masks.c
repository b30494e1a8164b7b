/* What a program sees of its signal mask, by every call that carries one, with the signals in it that
 * sysload itself lives by: SIGTRAP where sites are nothing but poison, SIGSYS where calls are caught.
 *
 *   masks           all of it, printed
 *   masks report    what a program that was executed has inherited
 *   masks storm N   ticks at 10 kHz, while the mask changes N times
 *   masks waits N   a thread takes N signals that are sent to the process, each as soon as it has the last
 *   masks opens N   two threads take N of them by a handler, for which they are open now and then
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

extern char **environ;

static const int kOdd[] = {SIGTRAP, SIGSYS, SIGSEGV, SIGUSR2};
enum { kOddCount = sizeof kOdd / sizeof kOdd[0] };

static volatile int handled, last_code;
static volatile uint64_t mask_seen, mask_inside;
static sigjmp_buf jump;

/* Of those that are of interest, as a number that reads the same everywhere. */
static uint64_t some(const sigset_t *set) {
  uint64_t bits = 0;
  for (int i = 0; i < kOddCount; i++) bits |= (uint64_t)(sigismember(set, kOdd[i]) == 1) << i * 4;
  return bits;
}

static uint64_t mask_now(void) {
  sigset_t set;
  if (sigprocmask(SIG_BLOCK, NULL, &set) != 0) exit(2);
  return some(&set);
}

static uint64_t pending_now(void) {
  sigset_t set;
  if (sigpending(&set) != 0) exit(2);
  return some(&set);
}

static sigset_t set_of(int one, int other) {
  sigset_t set;
  sigemptyset(&set);
  if (one != 0) sigaddset(&set, one);
  if (other != 0) sigaddset(&set, other);
  return set;
}

static uint64_t set_mask(int how, int one, int other) {
  const sigset_t set = set_of(one, other);
  sigset_t old;
  const int answer = sigprocmask(how, &set, &old);
  return answer == 0 ? some(&old) : (uint64_t)-1;
}

static void on_signal(int signal, siginfo_t *info, void *context) {
  (void)signal;
  handled++;
  last_code = info->si_code;
  mask_seen = some(&((ucontext_t *)context)->uc_sigmask);
  mask_inside = mask_now();
}

static void handle(int signal, void (*function)(int, siginfo_t *, void *), int flags, int masked) {
  struct sigaction action = {.sa_flags = flags | SA_SIGINFO};
  action.sa_sigaction = function;
  action.sa_mask = set_of(masked, 0);
  if (sigaction(signal, &action, NULL) != 0) exit(2);
}

static void say(const char *what) {
  printf("%s: handled %d code %d, saw %#llx, inside %#llx, now %#llx, pending %#llx\n", what, handled, last_code,
         (unsigned long long)mask_seen, (unsigned long long)mask_inside, (unsigned long long)mask_now(),
         (unsigned long long)pending_now());
  fflush(stdout);
  handled = 0, last_code = 0, mask_seen = mask_inside = 0;
}

/* --- sigprocmask, raise, sigpending ----------------------------------------------------------------- */

static void of_changing(int signal) {
  printf("changing %d\n", signal);
  handle(signal, on_signal, 0, 0);
  raise(signal);
  say("raised");
  printf("old %#llx", (unsigned long long)set_mask(SIG_BLOCK, signal, SIGUSR2));
  printf(", old %#llx", (unsigned long long)set_mask(SIG_UNBLOCK, SIGUSR2, 0));
  printf(", old %#llx\n", (unsigned long long)set_mask(SIG_SETMASK, signal, 0));
  raise(signal), raise(signal);
  say("raised twice while blocked");
  set_mask(SIG_UNBLOCK, signal, 0);
  say("unblocked");
  set_mask(SIG_BLOCK, signal, 0);
  kill(getpid(), signal);
  say("sent to the process while blocked");
  set_mask(SIG_SETMASK, 0, 0);
  say("unblocked");
  const sigset_t set = set_of(signal, 0);
  errno = 0;
  printf("bad: %d", sigprocmask(77, &set, NULL));
  printf(" %d", errno);
  /* The mask is changed, although the old one cannot be told. */
  printf(", %ld", syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, (void *)8, 8));
  printf(" %d, %#llx\n", errno, (unsigned long long)mask_now());
  printf("unreadable: %ld", syscall(SYS_rt_sigprocmask, SIG_SETMASK, (void *)8, NULL, 8));
  printf(" %d, size: %ld %d\n", errno, syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, NULL, 16), errno);
  set_mask(SIG_SETMASK, 0, 0);
}

/* --- Handlers ----------------------------------------------------------------------------------- */

static void nested(int signal, siginfo_t *info, void *context) {
  const int is_first = handled == 0;
  if (is_first) raise(signal);
  on_signal(signal, info, context);
  if (is_first) printf("  in it: handled %d, pending %#llx\n", handled, (unsigned long long)pending_now());
}

static void changes_mask(int signal, siginfo_t *info, void *context) {
  on_signal(signal, info, context);
  sigset_t *mask = &((ucontext_t *)context)->uc_sigmask;
  if (sigismember(mask, SIGTRAP) == 1)
    sigdelset(mask, SIGTRAP);
  else
    sigaddset(mask, SIGTRAP);
}

static void jumps(int signal, siginfo_t *info, void *context) {
  on_signal(signal, info, context);
  siglongjmp(jump, 1);
}

/* Ends itself by the kernel's masking of its own signal. */
static void raises_once(int signal, siginfo_t *info, void *context) {
  on_signal(signal, info, context);
  if (handled < 3) raise(signal);
}

static void of_handlers(int signal) {
  printf("handlers of %d\n", signal);
  handle(SIGUSR1, on_signal, 0, signal);
  raise(SIGUSR1);
  say("blocked by sa_mask");
  set_mask(SIG_BLOCK, signal, 0);
  raise(SIGUSR1);
  say("blocked before");
  set_mask(SIG_SETMASK, 0, 0);
  handle(signal, raises_once, 0, 0);
  raise(signal);
  say("its own");
  handle(signal, raises_once, SA_NODEFER, 0);
  raise(signal);
  say("its own, not deferred");
  handle(signal, on_signal, SA_RESETHAND, 0);
  raise(signal);
  struct sigaction now;
  sigaction(signal, NULL, &now);
  printf("reset: %d ", now.sa_handler == SIG_DFL);
  say("once");
  handle(SIGUSR1, changes_mask, 0, 0);
  raise(SIGUSR1);
  say("a handler blocks SIGTRAP");
  raise(SIGUSR1);
  say("a handler unblocks it");
  handle(SIGTRAP, on_signal, 0, 0);
  raise(SIGUSR1), raise(SIGTRAP), raise(SIGUSR1);
  say("a handler unblocks one that waits");
  handle(signal, jumps, 0, 0);
  if (sigsetjmp(jump, 1) == 0) raise(signal);
  say("left by siglongjmp");
  if (sigsetjmp(jump, 0) == 0) raise(signal);
  say("left by longjmp, which keeps the mask");
  set_mask(SIG_SETMASK, 0, 0);
  handle(signal, nested, 0, 0);
  raise(signal);
  handle(signal, on_signal, 0, 0);
  say("raised in its handler");
}

/* --- Calls that wait, with a mask of their own ------------------------------------------------------- */

static struct timespec soon = {0, 2000000};

static void of_waits(int signal) {
  printf("waits, %d\n", signal);
  const sigset_t none = set_of(0, 0), with = set_of(signal, 0);
  const int polled = epoll_create1(0);
  struct epoll_event event;
  handle(signal, on_signal, 0, 0);
  set_mask(SIG_BLOCK, signal, 0);
  raise(signal);
  printf("sigsuspend %d", sigsuspend(&none));
  printf(" %d ", errno);
  say("");
  raise(signal);
  printf("ppoll %d", ppoll(NULL, 0, &soon, &none));
  printf(" %d ", errno);
  say("");
  raise(signal);
  printf("pselect %d", pselect(0, NULL, NULL, NULL, &soon, &none));
  printf(" %d ", errno);
  say("");
  raise(signal);
  printf("epoll_pwait %d", epoll_pwait(polled, &event, 1, 2, &none));
  printf(" %d ", errno);
  say("");
  raise(signal);
  errno = 0;
  printf("ppoll, blocked too: %d", ppoll(NULL, 0, &soon, &with));
  printf(" %d ", errno);
  say("");
  set_mask(SIG_SETMASK, 0, 0);
  say("unblocked");
  /* The mask is for the call alone. */
  printf("ppoll, blocked in it: %d ", ppoll(NULL, 0, &soon, &with));
  say("");
  close(polled);
}

static void of_taking(int signal) {
  printf("taking %d\n", signal);
  const sigset_t set = set_of(signal, 0);
  siginfo_t info;
  sigprocmask(SIG_BLOCK, &set, NULL);
  errno = 0;
  printf("none: %d", sigtimedwait(&set, &info, &soon));
  printf(" %d\n", errno);
  sigqueue(getpid(), signal, (union sigval){.sival_int = 42});
  memset(&info, 0, sizeof info);
  printf("sigtimedwait: %d", sigtimedwait(&set, &info, &soon));
  printf(" code %d, value %d, own %d\n", info.si_code, info.si_value.sival_int, info.si_pid == getpid());
  const int file = signalfd(-1, &set, SFD_NONBLOCK);
  struct signalfd_siginfo read_info;
  printf("signalfd: %zd", read(file, &read_info, sizeof read_info));
  printf(" %d", errno);
  kill(getpid(), signal);
  struct pollfd polled = {file, POLLIN, 0};
  printf(", poll %d", poll(&polled, 1, 1000));
  printf(", read %zd", read(file, &read_info, sizeof read_info));
  printf(" signal %u code %d\n", read_info.ssi_signo, read_info.ssi_code);
  close(file);
  set_mask(SIG_SETMASK, 0, 0);
  say("afterwards");
}

/* What is blocked does not disturb a call that waits. */
static void of_undisturbed(int signal) {
  printf("undisturbed by %d\n", signal);
  int ends[2];
  handle(signal, on_signal, 0, 0);
  set_mask(SIG_BLOCK, signal, 0);
  if (pipe(ends) != 0) exit(2);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    usleep(20000);
    kill(parent, signal);
    usleep(20000);
    _exit(write(ends[1], "x", 1) != 1);
  }
  char byte = 0;
  errno = 0;
  printf("read %zd", read(ends[0], &byte, 1));
  printf(" %d ", errno);
  say("");
  int status = -1;
  waitpid(child, &status, 0);
  raise(signal);
  struct timespec rest = {0, 0};
  printf("nanosleep %d, status %d ", nanosleep(&soon, &rest), status);
  say("");
  set_mask(SIG_SETMASK, 0, 0);
  say("unblocked");
  close(ends[0]), close(ends[1]);
}

/* --- Threads -------------------------------------------------------------------------------------- */

static void *takes(void *argument) {
  const sigset_t set = set_of(*(int *)argument, 0);
  siginfo_t info;
  const struct timespec long_time = {20, 0};
  const uint64_t inherited = mask_now();
  const int got = sigtimedwait(&set, &info, &long_time);
  printf("a thread, mask %#llx, takes %d", (unsigned long long)inherited, got);
  printf(" code %d\n", info.si_code);
  return NULL;
}

static void *has_not_blocked(void *argument) {
  set_mask(SIG_UNBLOCK, *(int *)argument, 0);
  for (int i = 0; i < 20000 && handled == 0; i++) usleep(1000);
  printf("a thread that has not blocked it: handled %d\n", handled);
  return NULL;
}

static void of_threads(int signal) {
  printf("threads, %d\n", signal);
  pthread_t thread;
  handle(signal, on_signal, 0, 0);
  set_mask(SIG_BLOCK, signal, 0);
  for (int way = 0; way < 2; way++) {
    pthread_create(&thread, NULL, way == 0 ? takes : has_not_blocked, &signal);
    /* By a call, and by turning around. */
    for (volatile int i = 0; i < 20000000; i++) continue;
    usleep(50000);
    kill(getpid(), signal);
    for (volatile int i = 0; i < 20000000; i++) continue;
    pthread_join(thread, NULL);
    handled = 0;
  }
  say("threads are done");
  pthread_create(&thread, NULL, takes, &signal);
  usleep(50000);
  pthread_kill(thread, signal);
  pthread_join(thread, NULL);
  say("sent to a thread");
  set_mask(SIG_SETMASK, 0, 0);
}

/* --- Processes -------------------------------------------------------------------------------------- */

static void print_status_lines(void) {
  char text[8192], *line, *rest = text;
  const int file = open("/proc/self/status", O_RDONLY);
  const ssize_t size = read(file, text, sizeof text - 1);
  close(file);
  if (size <= 0) exit(2);
  text[size] = 0;
  /* SigCgt is another one where sysload handles a signal. */
  while ((line = strsep(&rest, "\n")) != NULL)
    if (strncmp(line, "SigPnd", 6) == 0 || strncmp(line, "ShdPnd", 6) == 0 || strncmp(line, "SigBlk", 6) == 0)
      printf("  %s\n", line);
}

static int report(void) {
  printf("  inherited: mask %#llx, pending %#llx, ignored", (unsigned long long)mask_now(), (unsigned long long)pending_now());
  for (int i = 0; i < kOddCount; i++) {
    struct sigaction now;
    sigaction(kOdd[i], NULL, &now);
    printf(" %d", now.sa_handler == SIG_IGN);
  }
  printf("\n");
  print_status_lines();
  fflush(stdout);
  return 0;
}

static void wait_for(pid_t child) {
  int status = -1;
  waitpid(child, &status, 0);
  printf("  status %#x\n", status);
  fflush(stdout);
}

static void execute(const char *self) {
  execl(self, self, "report", NULL);
  _exit(3);
}

static void of_processes(const char *self) {
  printf("processes\n");
  handle(SIGTRAP, on_signal, 0, 0);
  set_mask(SIG_SETMASK, SIGTRAP, SIGSYS);
  raise(SIGTRAP);
  print_status_lines();
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    say("  a forked child");
    raise(SIGTRAP);
    signal(SIGSYS, SIG_IGN);
    execute(self);
  }
  wait_for(child);
  child = vfork();
  if (child == 0) {
    syscall(SYS_getppid);
    execute(self);
  }
  wait_for(child);
  say("a child of vfork was there");
  set_mask(SIG_SETMASK, 0, 0);
  signal(SIGTRAP, SIG_IGN), signal(SIGSEGV, SIG_IGN);
  raise(SIGTRAP);
  execl("/nonexistent", "nothing", NULL);
  child = fork();
  if (child == 0) execute(self);
  wait_for(child);
  raise(SIGTRAP);
  say("ignored");
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t set = set_of(SIGTRAP, SIGUSR2), by_default = set_of(SIGTRAP, 0);
  posix_spawnattr_setsigmask(&attributes, &set);
  posix_spawnattr_setsigdefault(&attributes, &by_default);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  char *words[] = {(char *)self, "report", NULL};
  if (posix_spawn(&child, self, NULL, &attributes, words, environ) == 0) wait_for(child);
  fflush(stdout);
  printf("system: %d\n", system("exit 7") >> 8);
  signal(SIGTRAP, SIG_DFL), signal(SIGSEGV, SIG_DFL);
}

/* --- Faults, as contexts name them ---------------------------------------------------------------------- */

static void of_fault(int signal, siginfo_t *info, void *context) {
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  printf("signal %d code %d, trap %llu error %llu\n", signal, info->si_code, (unsigned long long)registers[REG_TRAPNO],
         (unsigned long long)registers[REG_ERR]);
  if (signal != SIGUSR1 && info->si_code > 0) siglongjmp(jump, 1);
}

static void of_faults(void) {
  printf("faults\n");
  const int signals[] = {SIGUSR1, SIGSEGV, SIGTRAP, SIGILL};
  for (int i = 0; i < 4; i++) handle(signals[i], of_fault, 0, 0);
  raise(SIGUSR1);
  if (sigsetjmp(jump, 1) == 0) *(volatile int *)8 = 1;
  raise(SIGUSR1);
  if (sigsetjmp(jump, 1) == 0) __asm__ volatile("int3");
  raise(SIGUSR1), raise(SIGSEGV);
  if (sigsetjmp(jump, 1) == 0) __asm__ volatile("ud2");
  const pid_t child = fork();
  if (child == 0) {
    raise(SIGUSR1);
    _exit(0);
  }
  wait_for(child);
  raise(SIGUSR1);
}

/* --- What kills --------------------------------------------------------------------------------------- */

static void breakpoint(int how) {
  if (how == 1 || how == 3) set_mask(SIG_BLOCK, SIGTRAP, 0);
  if (how == 2) signal(SIGTRAP, SIG_IGN);
  if (how == 3) handle(SIGTRAP, on_signal, 0, 0);
  if (how == 4) raise(SIGTRAP);
  if (how == 5) set_mask(SIG_BLOCK, SIGTRAP, 0), raise(SIGTRAP), set_mask(SIG_UNBLOCK, SIGTRAP, 0);
  if (how == 6) set_mask(SIG_BLOCK, SIGSYS, 0), raise(SIGSYS), syscall(SYS_getppid), set_mask(SIG_UNBLOCK, SIGSYS, 0);
  if (how == 7) set_mask(SIG_BLOCK, SIGSEGV, 0), *(volatile int *)8 = 1;
  if (how < 4) __asm__ volatile("int3");
}

static void of_deaths(void) {
  printf("deaths\n");
  for (int how = 0; how < 8; how++) {
    const pid_t child = fork();
    if (child == 0) {
      breakpoint(how);
      _exit(0);
    }
    wait_for(child);
  }
}

/* --- Ticks -------------------------------------------------------------------------------------------- */

static volatile long ticks, wrong;

static void on_tick(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)info;
  ticks++;
  const uint64_t before = some(&((ucontext_t *)context)->uc_sigmask);
  if (before != 0 && before != 1 && before != 0x10 && before != 0x11) wrong |= 1;
  /* sa_mask has SIGTRAP. */
  if (mask_now() != (before | 1)) wrong |= 2;
  if (getppid() <= 0) wrong |= 4;
}

static int storm(long count) {
  handle(SIGALRM, on_tick, SA_RESTART, SIGTRAP);
  handle(SIGTRAP, on_signal, 0, 0);
  const struct itimerval fast = {{0, 100}, {0, 100}}, off = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &fast, NULL);
  long sent = 0, taken = 0;
  for (long i = 0; i < count; i++) {
    const uint64_t wanted = i & 3 ? (i & 1) | (uint64_t)(i & 2) << 3 : 0;
    set_mask(SIG_SETMASK, i & 1 ? SIGTRAP : 0, i & 2 ? SIGSYS : 0);
    if (mask_now() != wanted) wrong |= 8;
    if (i % 5 == 0) {
      handled = 0;
      raise(SIGTRAP), sent++;
      if (mask_now() != wanted) wrong |= 16;
      if ((handled == 0) != (i & 1)) wrong |= 32;
      set_mask(SIG_SETMASK, 0, 0);
      taken += handled;
    }
    if (i % 7 == 0) {
      const pid_t child = vfork();
      if (child == 0) _exit(mask_now() == (i % 5 ? wanted : 0) ? 0 : 1);
      int status = -1;
      while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
      if (status != 0) wrong |= 64;
    }
  }
  /* Ticks are to come, however fast this was. */
  while (ticks < 20) usleep(100);
  setitimer(ITIMER_REAL, &off, NULL);
  printf("storm: %s, wrong %ld\n", sent == taken ? "all taken" : "some lost", wrong);
  return 0;
}

struct waits {
  int signal;
  long count, taken, wrong;
};

/* A third does not want to be told what it was. */
static void *take_all(void *argument) {
  struct waits *all = argument;
  const sigset_t set = set_of(all->signal, 0);
  const struct timespec long_time = {20, 0};
  for (long i = 0; i < all->count; i++) {
    siginfo_t info = {0};
    const int got = sigtimedwait(&set, i % 3 == 0 ? NULL : &info, &long_time);
    const int was_wrong = got != all->signal || (i % 3 != 0 && (info.si_code != SI_USER || info.si_pid != getpid()));
    __atomic_store_n(&all->wrong, was_wrong, __ATOMIC_SEQ_CST);
    if (was_wrong) break;  /* one that is lost takes all of the time */
    __atomic_store_n(&all->taken, i + 1, __ATOMIC_SEQ_CST);
  }
  return NULL;
}

static int waits(long count) {
  for (int way = 0; way < 2; way++) {
    struct waits all = {kOdd[way], count, 0, 0};
    pthread_t thread;
    set_mask(SIG_BLOCK, all.signal, 0);
    pthread_create(&thread, NULL, take_all, &all);
    for (long i = 0; i < count; i++) {
      kill(getpid(), all.signal);
      /* By a call, and by turning around. */
      while (__atomic_load_n(&all.taken, __ATOMIC_SEQ_CST) <= i && !__atomic_load_n(&all.wrong, __ATOMIC_SEQ_CST))
        if (i % 2 == 0) sched_yield();
      if (all.wrong) break;
    }
    pthread_join(thread, NULL);
    sigset_t left;
    sigpending(&left);
    printf("waits for %d: taken %ld, wrong %ld, left %llu\n", all.signal, all.taken, all.wrong, (unsigned long long)some(&left));
  }
  return 0;
}

static long opened;
static int is_over;

static void on_opened(int signal) {
  (void)signal;
  __atomic_fetch_add(&opened, 1, __ATOMIC_SEQ_CST);
}

static void *open_now_and_then(void *argument) {
  const int signal = *(const int *)argument;
  while (!__atomic_load_n(&is_over, __ATOMIC_SEQ_CST)) {
    set_mask(SIG_UNBLOCK, signal, 0);
    set_mask(SIG_BLOCK, signal, 0);
  }
  return NULL;
}

static int opens(long count) {
  for (int way = 0; way < 2; way++) {
    int signal = kOdd[way];
    const struct sigaction action = {.sa_handler = on_opened, .sa_flags = SA_RESTART};
    pthread_t threads[2];
    sigaction(signal, &action, NULL);
    set_mask(SIG_BLOCK, signal, 0);
    opened = is_over = 0;
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, open_now_and_then, &signal);
    long sent = 0;
    while (sent < count && opened == sent) {
      kill(getpid(), signal);
      sent++;
      const time_t lost = time(NULL) + 20;
      while (__atomic_load_n(&opened, __ATOMIC_SEQ_CST) < sent && time(NULL) < lost)
        if (sent % 2 == 0) sched_yield();
    }
    __atomic_store_n(&is_over, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    printf("opened for %d: sent %ld, taken %ld\n", signal, sent, opened);
  }
  return 0;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IONBF, 0);
  if (argc > 1 && strcmp(argv[1], "report") == 0) return report();
  if (argc > 2 && strcmp(argv[1], "storm") == 0) return storm(atol(argv[2]));
  if (argc > 2 && strcmp(argv[1], "waits") == 0) return waits(atol(argv[2]));
  if (argc > 2 && strcmp(argv[1], "opens") == 0) return opens(atol(argv[2]));
  for (int i = 0; i < 3; i++) {
    of_changing(kOdd[i]);
    of_handlers(kOdd[i]);
    of_waits(kOdd[i]);
    of_taking(kOdd[i]);
    of_undisturbed(kOdd[i]);
    of_threads(kOdd[i]);
  }
  of_faults();
  of_processes(argv[0]);
  of_deaths();
  return 0;
}
