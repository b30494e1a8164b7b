/* sigaction, as the kernel has it: what is set, what is said to have been set before, and what is refused.
 *
 *   actions old        every signal, with SIG_DFL, SIG_IGN and handlers, with and without SA_SIGINFO, and old values
 *   actions reset      SA_RESETHAND
 *   actions bad        numbers, sizes and pointers that are refused
 *   actions spawn      what posix_spawn's children, those of vfork and of execve, have
 *   actions many       COUNT handlers, each another address, all of them right
 *   actions threads    threads that set handlers while signals rain */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

struct raw_action {
  uintptr_t handler;
  uint64_t flags;
  uintptr_t restorer;
  uint64_t mask;
};

extern char **environ;
static volatile int handled;

static void handler(int number) { handled += number != 0; }
static void handler_info(int number, siginfo_t *info, void *context) {
  handled += info->si_signo == number && context != NULL;
}

static const char *name_of(uintptr_t address) {
  static char text[32];
  if (address == 0) return "default";
  if (address == 1) return "ignore";
  if (address == (uintptr_t)handler) return "handler";
  if (address == (uintptr_t)handler_info) return "handler_info";
  if (address == 0x123456789a) return "nonsense";
  snprintf(text, sizeof text, "%#lx", (unsigned long)address);
  return text;
}

static long raw_sigaction(int number, const void *new, void *old, size_t size) {
  return syscall(SYS_rt_sigaction, number, new, old, size);
}

static void restorer(void);
__asm__("restorer: mov $15, %eax\n syscall\n");

/* --- Old values */
static void old_values(void) {
  static const struct raw_action wanted[] = {
      {0, 0, 0, 0},
      {(uintptr_t)handler, 0x04000000, (uintptr_t)restorer, 0x1122334455667788},
      {1, 0, 0, 0xffff},
      {(uintptr_t)handler_info, 0x04000000 | SA_SIGINFO | SA_RESTART, (uintptr_t)restorer, ~0ull},
      {0, SA_SIGINFO | SA_NODEFER, 0x12345678, 0x10},
      {(uintptr_t)handler, 0x04000000 | SA_SIGINFO | SA_ONSTACK | SA_RESETHAND, (uintptr_t)restorer, 0},
      {1, 0x04000000 | SA_SIGINFO | SA_RESTART, (uintptr_t)restorer, 0x5},
      {(uintptr_t)handler_info, 0x04000000, (uintptr_t)restorer, 0x4000},
      /* No flag of a restorer: the kernel takes it all the same, until the signal comes. */
      {0x123456789a, SA_NOCLDSTOP | SA_NOCLDWAIT, 0, 1},
      /* Unknown flags; the kernel clears those that it does not know. */
      {(uintptr_t)handler, 0xffffffffffffffff, (uintptr_t)restorer, 1},
      {1, 0, 0, 0},
      {0, 0, 0, 0},
  };
  for (int number = 1; number <= 64; number++) {
    struct raw_action old;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
      memset(&old, 0x77, sizeof old);
      errno = 0;
      const long answer = raw_sigaction(number, &wanted[i], &old, 8);
      printf("%d/%zu: %ld %d %s", number, i, answer, errno, name_of(old.handler));
      printf(" %#lx %d %#lx\n", (unsigned long)old.flags,
             old.restorer == (uintptr_t)restorer ? -1
             : old.restorer == 0                 ? 0
                                                 : 1,
             (unsigned long)old.mask);
      /* Asking changes nothing; in place, too. */
      struct raw_action asked = wanted[i];
      raw_sigaction(number, NULL, &asked, 8);
      if (number != SIGKILL && number != SIGSTOP && i % 3 == 0) {
        struct raw_action both = wanted[i];
        raw_sigaction(number, &both, &both, 8);
        printf("  %d %d", memcmp(&both, &asked, sizeof both), memcmp(&asked, &wanted[i], sizeof asked));
      }
      printf("  asked: %s %#lx %d %#lx\n", name_of(asked.handler), (unsigned long)asked.flags,
             asked.restorer == wanted[i].restorer, (unsigned long)asked.mask);
    }
  }
}

/* A signal that comes resets what says so, and old values say that, too. */
static void resets(void) {
  const int few[] = {SIGUSR1, SIGTRAP, SIGSEGV, SIGRTMIN};
  for (int i = 0; i < 4; i++) {
    struct sigaction once = {.sa_flags = SA_RESETHAND | SA_RESTART}, old;
    once.sa_handler = handler;
    sigaddset(&once.sa_mask, SIGUSR2);
    sigaction(few[i], &once, NULL);
    handled = 0;
    raise(few[i]);
    sigaction(few[i], NULL, &old);
    printf("reset %d: %d handled, %s %#x %d\n", few[i], handled, name_of((uintptr_t)old.sa_handler), old.sa_flags,
           sigismember(&old.sa_mask, SIGUSR2));
    const pid_t child = fork();
    if (child == 0) {
      raise(few[i]);
      _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    printf("then: %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
  }
}

/* --- Refusals */
static void refusals(void) {
  char *const page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(page + 4096, 4096, PROT_NONE);
  char *const read_only = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct raw_action good = {(uintptr_t)handler, 0x04000000, (uintptr_t)restorer, 0}, old;
  const void *const news[] = {NULL,
                              (void *)8,
                              (void *)-8,
                              page + 4096,
                              page + 4096 - 16,
                              page + 4096 - 31,
                              page + 8,
                              (void *)0x8000000000000000,
                              (void *)0x7ffffffffff8,
                              &good,
                              read_only};
  void *const olds[] = {NULL, (void *)8, page + 4096, page + 4096 - 16, read_only, page + 100, &old, (void *)-1};
  const long numbers[] = {0,         1, SIGTRAP, SIGSEGV, SIGKILL, SIGSTOP, 64, 65, -1, 1000, 0x100000000 + SIGUSR1,
                          0x7fffffff};
  const size_t sizes[] = {8, 0, 4, 16, -1, 0x100000008};
  memcpy(page + 8, &good, sizeof good);
  for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++)
    for (size_t i = 0; i < sizeof news / sizeof *news; i++)
      for (size_t o = 0; o < sizeof olds / sizeof *olds; o++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
          memset(&old, 0, sizeof old);
          errno = 0;
          const long answer = syscall(SYS_rt_sigaction, numbers[n], news[i], olds[o], sizes[s]);
          const int error = errno;
          printf("%ld %zu %zu %zu: %ld %d", numbers[n], i, o, s, answer, error);
          if (olds[o] == &old) printf(" %s %#lx", name_of(old.handler), (unsigned long)old.flags);
          struct raw_action now;
          if (raw_sigaction((int)numbers[n], NULL, &now, 8) == 0)
            printf(" now %s %#lx", name_of(now.handler), (unsigned long)now.flags);
          putchar('\n');
        }
        struct raw_action none = {0, 0, 0, 0};
        raw_sigaction((int)numbers[n], &none, NULL, 8);
      }
}

/* --- Children */
static void show_mine(void) {
  for (int number = 1; number <= 64; number++) {
    struct raw_action old;
    if (raw_sigaction(number, NULL, &old, 8) == 0 && (old.handler || old.flags || old.mask))
      printf("  %d: %s %#lx %#lx\n", number, name_of(old.handler), (unsigned long)old.flags, (unsigned long)old.mask);
  }
  sigset_t mask;
  sigprocmask(SIG_SETMASK, NULL, &mask);
  for (int number = 1; number <= 64; number++)
    if (sigismember(&mask, number) == 1) printf("  %d is blocked\n", number);
  fflush(stdout);
}

static void children(char *self) {
  char *const arguments[] = {self, "show", NULL};
  for (int round = 0; round < 6; round++) {
    posix_spawnattr_t attributes;
    sigset_t set, mask;
    pid_t child;
    posix_spawnattr_init(&attributes);
    sigemptyset(&set), sigemptyset(&mask);
    signal(SIGUSR1, round & 1 ? SIG_IGN : handler);
    signal(SIGUSR2, handler);
    signal(SIGHUP, SIG_IGN);
    signal(SIGTRAP, round & 1 ? SIG_IGN : round & 2 ? handler : SIG_DFL);
    signal(SIGSEGV, round & 1 ? SIG_IGN : round & 2 ? handler : SIG_DFL);
    if (round & 2) sigaddset(&set, SIGUSR1), sigaddset(&set, SIGHUP);
    if (round >= 4) sigfillset(&set);
    sigaddset(&mask, SIGWINCH);
    posix_spawnattr_setsigdefault(&attributes, &set);
    posix_spawnattr_setsigmask(&attributes, &mask);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    printf("spawned, round %d\n", round);
    fflush(stdout);
    if (posix_spawn(&child, self, NULL, &attributes, arguments, environ) != 0) exit(1);
    int status;
    waitpid(child, &status, 0);
    printf("status %d; mine:\n", status);
    show_mine();
  }
  /* A child of vfork has handlers of its own, in the memory of its parent. */
  signal(SIGUSR1, handler);
  signal(SIGTRAP, SIG_DFL);
  const pid_t child = vfork();
  if (child == 0) {
    struct sigaction other = {.sa_handler = SIG_IGN};
    for (int number = 1; number <= 64; number++) sigaction(number, &other, NULL);
    other.sa_handler = handler;
    sigaction(SIGTRAP, &other, NULL);
    sigaction(SIGUSR2, &other, NULL);
    raise(SIGUSR2);
    execv(self, arguments);
    _exit(1);
  }
  int status;
  waitpid(child, &status, 0);
  printf("after vfork: status %d; mine:\n", status);
  show_mine();
  handled = 0;
  raise(SIGUSR1);
  printf("%d handled\n", handled);
}

/* --- Many handlers */
static volatile uint64_t last;

static int many(int count, int is_trap_used) {
  /* mov $n, %eax; mov %rax, last; ret */
  unsigned char *code =
      mmap(NULL, (size_t)count * 32, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code == MAP_FAILED) return 1;
  int wrong = 0;
  for (int i = 0; i < count; i++) {
    unsigned char *at = code + 32 * i;
    *at = 0xb8;
    memcpy(at + 1, &i, 4);
    const uint64_t address = (uintptr_t)&last;
    memcpy(at + 5, "\x48\xb9", 2), memcpy(at + 7, &address, 8), memcpy(at + 15, "\x48\x89\x01\xc3", 4);
  }
  for (int pass = 0; pass < 2; pass++)
    for (int i = 0; i < count; i++) {
      struct sigaction action = {.sa_flags = SA_RESTART}, old;
      action.sa_handler = (void (*)(int))(code + 32 * i);
      const int number = (int[]){SIGUSR1, is_trap_used ? SIGTRAP : SIGUSR2, SIGSEGV, SIGRTMIN}[i % 4];
      if (sigaction(number, &action, NULL) != 0 || sigaction(number, NULL, &old) != 0) return 1;
      last = (uint64_t)-1;
      syscall(SYS_tkill, syscall(SYS_gettid), number); /* raise blocks all signals in musl */
      wrong += last != (uint64_t)i || old.sa_handler != action.sa_handler || (old.sa_flags & ~0x04000000) != SA_RESTART;
    }
  printf("%d handlers, %d wrong\n", count, wrong);
  return 0;
}

/* --- Threads */
static volatile int stop;
static volatile int counted[4];
#define COUNTER(n)                                        \
  static void count_##n(int number) {                     \
    (void)number;                                         \
    __atomic_add_fetch(&counted[n], 1, __ATOMIC_RELAXED); \
  }
COUNTER(0) COUNTER(1) COUNTER(2) COUNTER(3) static void (*const counters[])(int) = {count_0, count_1, count_2, count_3};
static long bad_olds;

static void *set_and_set(void *argument) {
  for (unsigned i = (unsigned)(uintptr_t)argument; !stop; i++) {
    struct sigaction action = {.sa_handler = counters[i % 4], .sa_flags = i & 4 ? SA_SIGINFO : SA_RESTART}, old;
    const int number = i & 8 ? SIGUSR1 : i & 16 ? SIGTRAP : SIGSEGV;
    sigaction(number, &action, &old);
    int known = old.sa_handler == SIG_DFL;
    for (int j = 0; j < 4; j++) known |= old.sa_handler == counters[j];
    if (!known) __atomic_add_fetch(&bad_olds, 1, __ATOMIC_RELAXED);
    if (i % 16 == 0) getppid();
  }
  return NULL;
}

static int threads(int signals) {
  const int numbers[] = {SIGUSR1, SIGTRAP, SIGSEGV};
  pthread_t setters[3];
  for (int i = 0; i < 3; i++) signal(numbers[i], count_0);
  for (uintptr_t i = 0; i < 3; i++) pthread_create(&setters[i], NULL, set_and_set, (void *)(5 * i));
  for (int i = 0; i < signals; i++) {
    pthread_kill(setters[i % 3], numbers[i % 2 * (i % 3)]);
    raise(numbers[i % 3]);
  }
  stop = 1;
  for (int i = 0; i < 3; i++) pthread_join(setters[i], NULL);
  const int total = counted[0] + counted[1] + counted[2] + counted[3];
  printf("%s, %ld unknown handlers\n", total >= signals ? "all counted" : "some lost", bad_olds);
  return 0;
}

int main(int argc, char **argv) {
  const char *const word = argc > 1 ? argv[1] : "";
  const int count = argc > 2 ? atoi(argv[2]) : 1000;
  if (strcmp(word, "old") == 0) old_values();
  if (strcmp(word, "reset") == 0) resets();
  if (strcmp(word, "bad") == 0) refusals();
  if (strcmp(word, "spawn") == 0) children(argv[0]);
  if (strcmp(word, "show") == 0) show_mine();
  if (strcmp(word, "many") == 0) return many(count, argc == 3);
  if (strcmp(word, "threads") == 0) return threads(count);
  return 0;
}
