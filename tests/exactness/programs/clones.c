/* clone and clone3 in many combinations of flags, by the plain call; and what threads, forks and execve do to each
 * other.
 *
 *   clones flags            each combination: what the child shares is seen by its parent
 *   clones exec             a thread executes, while others wait and run
 *   clones leaves           the main thread ends first; the others go on
 *   clones fork COUNT       forks of a threaded program under load
 *   clones early            a thread was started by a constructor, before main */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Source: linux/sched.h, which musl has not. */
struct clone_args {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif

static long call(long number, long a, long b, long c, long d, long e) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                   : "rcx", "r11", "memory");
  return result;
}

/* As clone; a child goes on in child(), on the stack it has been given, or below what its parent is going to need. */
long start(long number, long a, long b, long c, long d, long e);
__asm__(
    ".text\n"
    "start:\n"
    " mov %rdi, %rax\n mov %rsi, %rdi\n mov %rdx, %rsi\n mov %rcx, %rdx\n mov %r8, %r10\n mov %r9, %r8\n"
    " syscall\n"
    " test %rax, %rax\n jnz 1f\n"
    " xor %ebp, %ebp\n and $-16, %rsp\n call child\n hlt\n"
    "1: ret\n");

static struct {
  long pid, tid, parent, opened, handled, base, sum, inherited;
  int written;
} volatile seen;
static volatile int handled;
static int private_word;
static void handler(int number) { handled += number == SIGUSR1; }
static void restorer(void);
__asm__(".text\nrestorer: mov $15, %eax\n syscall\n");

struct raw_action {
  uintptr_t handler;
  uint64_t flags;
  uintptr_t restorer;
  uint64_t mask;
};

/* A digit for each of some signals: 1 default, 2 ignored, 3 handled, and 4 more where flags or a mask are left. */
static long dispositions(void) {
  static const int numbers[] = {SIGUSR1, SIGUSR2, SIGPIPE, SIGTRAP, SIGSEGV, SIGSYS};
  long digits = 0;
  for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    struct raw_action is = {0, 0, 0, 0};
    call(SYS_rt_sigaction, numbers[i], 0, (long)&is, 8, 0);
    digits = digits * 10 + (is.handler == 0 ? 1 : is.handler == 1 ? 2 : 3) + (is.flags != 0 || is.mask != 0 ? 4 : 0);
  }
  return digits;
}

/* No libc in here: there may be no thread pointer of its own. */
__attribute__((used)) void child(void) {
  const struct raw_action action = {(uintptr_t)handler, 0x04000000, (uintptr_t)restorer, 0};
  const struct timespec moment = {0, 1000000};
  const long pid = call(SYS_getpid, 0, 0, 0, 0, 0), tid = call(SYS_gettid, 0, 0, 0, 0, 0);
  handled = 0;
  seen.inherited = dispositions();
  call(SYS_rt_sigaction, SIGUSR1, (long)&action, 0, 8, 0);
  for (int i = 0; i < 20; i++) {
    seen.sum += call(SYS_getppid, 0, 0, 0, 0, 0) == call(SYS_getppid, 0, 0, 0, 0, 0);
    call(SYS_tgkill, pid, tid, SIGUSR1, 0, 0);
  }
  call(SYS_nanosleep, (long)&moment, 0, 0, 0, 0);
  seen.pid = pid;
  seen.tid = tid;
  seen.parent = call(SYS_getppid, 0, 0, 0, 0, 0);
  seen.handled = handled;
  seen.opened = call(SYS_openat, AT_FDCWD, (long)"/dev/null", O_RDONLY, 0, 0);
  call(SYS_chdir, (long)"/usr", 0, 0, 0, 0);
  private_word = 77;
  seen.written = 1;
  call(SYS_exit, handled + 1, 0, 0, 0, 0);
  __builtin_trap();
}

struct words {
  int parent_tid, child_tid, pidfd;
};

static char *stack;
enum { STACK = 65536 };
static char tls_of_child[4096] __attribute__((aligned(64)));

static void one(const char *name, uint64_t flags, int has_stack, int is_clone3, int signal_at_end) {
  struct words volatile words = {-1, -1, -1};
  /* Each finds the same. */
  struct raw_action none = {0, 0, 0}, after;
  const struct raw_action some = {(uintptr_t)handler, 0x14000000, (uintptr_t)restorer, 2}, ignore = {1, 0x10000000, 0, 4};
  call(SYS_rt_sigaction, SIGUSR1, (long)&none, 0, 8, 0);
  call(SYS_rt_sigaction, SIGUSR2, (long)&some, 0, 8, 0);
  call(SYS_rt_sigaction, SIGPIPE, (long)&ignore, 0, 8, 0);
  call(SYS_rt_sigaction, SIGSEGV, (long)&some, 0, 8, 0);
  if (chdir("/") != 0) exit(2);
  for (int fd = 3; fd < 20; fd++) close(fd);
  memset((void *)&seen, 0, sizeof seen);
  private_word = 0;
  *(void **)tls_of_child = tls_of_child;
  char *const top = has_stack ? stack + STACK : NULL;
  long result;
  if (is_clone3) {
    struct clone_args args = {.flags = flags,
                              .exit_signal = (uint64_t)signal_at_end,
                              .parent_tid = (uintptr_t)&words.parent_tid,
                              .child_tid = (uintptr_t)&words.child_tid,
                              .pidfd = (uintptr_t)&words.pidfd,
                              .tls = (uintptr_t)tls_of_child};
    if (has_stack) args.stack = (uintptr_t)stack, args.stack_size = STACK;
    result = start(SYS_clone3, (long)&args, sizeof args, 0, 0, 0);
  } else {
    result = start(SYS_clone, (long)(flags | (unsigned)signal_at_end), (long)top,
                   (long)(flags & CLONE_PIDFD ? &words.pidfd : &words.parent_tid), (long)&words.child_tid,
                   (long)tls_of_child);
  }
  int status = -1;
  long waited = 0;
  if (result > 0 && !(flags & CLONE_THREAD)) {
    waited = call(SYS_wait4, result, (long)&status, __WALL, 0, 0);
  } else if (result > 0) {
    /* The kernel clears the word when the thread is gone. */
    while (__atomic_load_n(&words.child_tid, __ATOMIC_ACQUIRE) != 0) usleep(100);
  }
  call(SYS_rt_sigaction, SIGUSR1, 0, (long)&after, 8, 0);
  char where[64];
  if (getcwd(where, sizeof where) == NULL) exit(2);
  printf(
      "%s%s%s: %s, waited %d, status %#x, memory %d %d, process %s, parent %d, %ld handled, sum %ld, opened %d, in %s, "
      "handler %d, inherited %ld, here %ld",
      name, has_stack ? ", stack" : "", is_clone3 ? ", clone3" : "", result > 0 ? "started" : strerror((int)-result),
      waited == result && result > 0, status, seen.written, private_word,
      seen.pid == getpid() ? "mine"
      : seen.pid == 0      ? "unseen"
      : seen.pid == result ? "own"
                           : "?",
      seen.parent == getpid(), seen.handled, seen.sum, fcntl(3, F_GETFD) >= 0, where,
      after.handler == (uintptr_t)handler, seen.inherited, dispositions());
  printf(", words %s %s %s\n",
         words.parent_tid == result ? "tid"
         : words.parent_tid == -1   ? "-"
                                    : "?",
         words.child_tid == result ? "tid"
         : words.child_tid == -1   ? "-"
         : words.child_tid == 0    ? "0"
                                   : "?",
         words.pidfd >= 0 ? "fd" : "-");
  if (words.pidfd >= 0) close(words.pidfd);
}

static int flags(void) {
  static const struct {
    const char *name;
    uint64_t flags;
    int needs_stack;
  } ways[] = {
      {"fork", 0, 0},
      {"fork with words", CLONE_PARENT_SETTID | CLONE_CHILD_SETTID, 0},
      {"fork, word cleared", CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID, 0},
      {"fork, files", CLONE_FILES, 0},
      {"fork, folder", CLONE_FS, 0},
      {"fork, files and folder", CLONE_FS | CLONE_FILES | CLONE_IO | CLONE_SYSVSEM, 0},
      {"fork, settls", CLONE_SETTLS, 0},
      {"fork, pidfd", CLONE_PIDFD, 0},
      {"fork, untraced", CLONE_UNTRACED, 0},
      {"memory", CLONE_VM, 1},
      {"memory, tls", CLONE_VM | CLONE_SETTLS, 1},
      {"memory, handlers", CLONE_VM | CLONE_SIGHAND, 1},
      {"memory, cleared handlers", CLONE_VM | 0x100000000ull, 1},
      {"memory, files, folder", CLONE_VM | CLONE_FILES | CLONE_FS, 1},
      {"memory, words", CLONE_VM | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID, 1},
      {"vfork", CLONE_VM | CLONE_VFORK, 0},
      {"vfork, cleared handlers", CLONE_VM | CLONE_VFORK | 0x100000000ull, 1},
      {"fork, cleared handlers", 0x100000000ull, 0},
      {"vfork, tls", CLONE_VM | CLONE_VFORK | CLONE_SETTLS, 1},
      {"vfork, handlers", CLONE_VM | CLONE_VFORK | CLONE_SIGHAND | CLONE_FILES, 1},
      {"vfork without memory", CLONE_VFORK, 0},
      {"vfork, words", CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID, 0},
      {"thread",
       CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |
           CLONE_CHILD_SETTID | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID,
       1},
      {"thread without tls", CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID, 1},
      {"thread with its own files",
       CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_SETTLS | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID, 1},
      /* Refused. */
      {"handlers without memory", CLONE_SIGHAND, 0},
      {"thread without handlers", CLONE_VM | CLONE_THREAD, 1},
      {"two kinds of folder", CLONE_FS | CLONE_NEWNS, 0},
      {"pidfd and detached", CLONE_PIDFD | CLONE_DETACHED, 0},
  };
  stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stack == MAP_FAILED) return 2;
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
    for (int is_clone3 = 0; is_clone3 < 2; is_clone3++)
      for (int has_stack = ways[i].needs_stack; has_stack < 2; has_stack++) {
        const int ends = ways[i].flags & CLONE_THREAD ? 0 : SIGCHLD;
        if (ways[i].flags >> 32 && !is_clone3) continue;
        one(ways[i].name, ways[i].flags, has_stack, is_clone3, ends);
      }
  /* clone3's own refusals. */
  struct clone_args args = {.exit_signal = SIGCHLD};
  char long_args[256] = {0};
  printf("sizes: %ld %ld %ld %ld\n", call(SYS_clone3, (long)&args, 0, 0, 0, 0),
         call(SYS_clone3, (long)&args, 63, 0, 0, 0), call(SYS_clone3, (long)&args, 100000, 0, 0, 0),
         call(SYS_clone3, 8, 64, 0, 0, 0));
  args.exit_signal = 1000;
  printf("signal: %ld\n", call(SYS_clone3, (long)&args, sizeof args, 0, 0, 0));
  args.exit_signal = SIGCHLD, args.stack_size = 4096;
  printf("size without stack: %ld\n", call(SYS_clone3, (long)&args, sizeof args, 0, 0, 0));
  memset(long_args + 100, 1, 4);
  printf("unknown fields: %ld\n", call(SYS_clone3, (long)long_args, sizeof long_args, 0, 0, 0));
  return 0;
}

/* --- Threads */
static int pipe_of[2];
static volatile int running, early;

static void *waits(void *unused) {
  char byte;
  __atomic_add_fetch(&running, 1, __ATOMIC_SEQ_CST);
  if (read(pipe_of[0], &byte, 1) < 0) _exit(3);
  return unused;
}

static void *spins(void *unused) {
  __atomic_add_fetch(&running, 1, __ATOMIC_SEQ_CST);
  for (;;) getppid();
  return unused;
}

static char *self;
static void *executes(void *unused) {
  char *const arguments[] = {self, "after", NULL};
  while (running < 4) sched_yield();
  execv(self, arguments);
  _exit(4);
  return unused;
}

static int from_thread(void) {
  pthread_t threads[4], last;
  char pid[32];
  snprintf(pid, sizeof pid, "%d", getpid());
  setenv("PID", pid, 1);
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, i & 1 ? spins : waits, NULL);
  pthread_create(&last, NULL, executes, NULL);
  pthread_join(last, NULL);
  return 5;
}

static void *goes_on(void *unused) {
  const struct timespec moment = {0, 20000000};
  nanosleep(&moment, NULL);
  char state[256] = {0};
  const int fd = open("/proc/self/stat", O_RDONLY);
  if (read(fd, state, sizeof state - 1) > 0) printf("the main thread is %c\n", strrchr(state, ')')[2]);
  for (int i = 0; i < 1000; i++) getppid();
  const pid_t child = fork();
  if (child == 0) _exit(9);
  int status = 0;
  waitpid(child, &status, 0);
  printf("a child of the last thread: %d\n", WEXITSTATUS(status));
  fflush(stdout);
  exit(7);
  return unused;
}

static volatile int stop;
static void *loads(void *argument) {
  while (!stop) {
    char *block = malloc(100 + (uintptr_t)argument * 1000);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    getppid();
    free(block);
  }
  return NULL;
}

static void *goes_nowhere(void *unused) { return unused; }

static void *forks(void *argument) {
  uintptr_t bad = 0;
  for (uintptr_t i = 0; i < (uintptr_t)argument; i++) {
    const pid_t child = fork();
    if (child == 0) {
      /* The child is alone, and may do what a program may. */
      pthread_t one;
      pthread_create(&one, NULL, goes_nowhere, NULL);
      pthread_join(one, NULL);
      _exit(getppid() > 0 ? 21 : 1);
    }
    int status = 0;
    bad += waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 21;
  }
  return (void *)bad;
}

static int fork_under_load(int count) {
  pthread_t load[3], forking[3];
  uintptr_t bad = 0;
  for (uintptr_t i = 0; i < 3; i++) pthread_create(&load[i], NULL, loads, (void *)i);
  for (int i = 0; i < 3; i++) pthread_create(&forking[i], NULL, forks, (void *)(uintptr_t)count);
  for (int i = 0; i < 3; i++) {
    void *result;
    pthread_join(forking[i], &result);
    bad += (uintptr_t)result;
  }
  stop = 1;
  for (int i = 0; i < 3; i++) pthread_join(load[i], NULL);
  printf("%lu children went wrong\n", (unsigned long)bad);
  return bad != 0;
}

static pthread_t early_thread;
static void *runs_early(void *unused) {
  for (int i = 0; i < 10000; i++) early += getppid() > 0;
  return unused;
}

__attribute__((constructor)) static void before_main(void) { pthread_create(&early_thread, NULL, runs_early, NULL); }

int main(int argc, char **argv) {
  const char *const word = argc > 1 ? argv[1] : "";
  self = argv[0];
  if (pipe(pipe_of) != 0) return 2;
  pthread_join(early_thread, NULL);
  if (strcmp(word, "early") == 0) return printf("%d calls before main\n", early) < 0;
  if (strcmp(word, "flags") == 0) return flags();
  if (strcmp(word, "exec") == 0) return from_thread();
  if (strcmp(word, "after") == 0) {
    printf("executed: the same process %d, the main thread %d\n", atoi(getenv("PID")) == getpid(),
           getpid() == (pid_t)syscall(SYS_gettid));
    return 6;
  }
  if (strcmp(word, "fork") == 0) return fork_under_load(atoi(argv[2]));
  if (strcmp(word, "leaves") == 0) {
    pthread_t thread;
    pthread_create(&thread, NULL, goes_on, NULL);
    pthread_detach(thread);
    pthread_exit(NULL);
  }
  return 1;
}
