/* Programs that count what they have, or have little.
 *
 *   limits descriptors   closes all, counts them, and takes the lowest free number
 *   limits files         RLIMIT_NOFILE, down to none
 *   limits memory        RLIMIT_AS, and how much of it there is
 *   limits stack         RLIMIT_STACK, and how deep that is
 *   limits strict        SECCOMP_MODE_STRICT
 *   limits whitelist     a filter that lets pass only what this program calls
 *   limits small         the same without rt_sigaction
 *   limits mdwe          PR_SET_MDWE, and what it refuses
 *   limits mdwe_exec     the same in what is executed */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* Source: linux/filter.h, linux/seccomp.h, which musl has not. */
struct sock_filter {
  uint16_t code;
  uint8_t jt, jf;
  uint32_t k;
};
struct sock_fprog {
  unsigned short len;
  struct sock_filter *filter;
};
enum { LOAD = 0x20, EQUAL = 0x15, RETURN = 0x06, ALLOW = 0x7fff0000 };
#define KILL 0x80000000u

static void say(const char *text) {
  if (write(1, text, strlen(text)) < 0) _exit(9);
}

static void number(const char *text, long value) {
  char line[128];
  snprintf(line, sizeof line, "%s %ld\n", text, value);
  say(line);
}

static void count_open(const char *when) {
  int open_ones = 0, highest = -1;
  for (int fd = 0; fd < 2000; fd++)
    if (fcntl(fd, F_GETFD) >= 0) open_ones++, highest = fd;
  char line[128];
  snprintf(line, sizeof line, "%s: %d open, highest %d\n", when, open_ones, highest);
  say(line);
}

static int descriptors(void) {
  count_open("at first");
  DIR *folder = opendir("/proc/self/fd");
  int listed = 0;
  while (readdir(folder)) listed++;
  closedir(folder);
  number("listed", listed);
  number("lowest", open("/dev/null", O_RDONLY));
  number("lowest", dup(0));
  const int saved = fcntl(1, F_DUPFD, 500);
  const long closed = syscall(SYS_close_range, 0, 400, 0), lowest = open("/dev/null", O_RDONLY);
  dup2(saved, 1);
  number("close_range", closed);
  number("lowest of none", lowest);
  count_open("after");
  for (int fd = 0; fd < 1024; fd++)
    if (fd != 1) close(fd);
  number("again", open("/dev/null", O_RDONLY));
  /* And with none: what a handler and a thread need is no descriptor. */
  close(0);
  const pid_t child = fork();
  if (child == 0) {
    for (int fd = 0; fd < 1024; fd++) close(fd);
    pthread_t thread;
    if (pthread_create(&thread, NULL, (void *(*)(void *))getpid, NULL) != 0) _exit(1);
    pthread_join(thread, NULL);
    signal(SIGUSR1, (void (*)(int))getpid);
    raise(SIGUSR1);
    _exit(open("/dev/null", O_RDONLY) == 0 ? 33 : 2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  number("without any", status >> 8);
  count_open("at last");
  return 0;
}

static int files(void) {
  const int limits[] = {64, 10, 4, 3, 2, 0};
  for (int i = 0; i < 6; i++) {
    const struct rlimit limit = {(rlim_t)limits[i], 4096};
    setrlimit(RLIMIT_NOFILE, &limit);
    int opened[128], count = 0;
    while (count < 128 && (opened[count] = open("/dev/null", O_RDONLY)) >= 0) count++;
    const int error = errno;
    char line[128];
    snprintf(line, sizeof line, "limit %d: %d opened, then errno %d\n", limits[i], count, error);
    say(line);
    while (count > 0) close(opened[--count]);
    /* Processes, threads, signals. */
    const pid_t child = fork();
    if (child == 0) {
      pthread_t thread;
      const int created = pthread_create(&thread, NULL, (void *(*)(void *))getpid, NULL);
      if (created == 0) pthread_join(thread, NULL);
      _exit(created == 0 ? 12 : 13);
    }
    int status;
    waitpid(child, &status, 0);
    number("child", status >> 8);
  }
  return 0;
}

static int memory(void) {
  /* What is left differs; that it ends, how, and what works after, does not. */
  const struct rlimit limit = {64 << 20, 64 << 20};
  if (setrlimit(RLIMIT_AS, &limit) != 0) return 1;
  long mebibytes = 0;
  void *page, *last = NULL, *before = NULL;
  while ((page = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) != MAP_FAILED)
    mebibytes++, before = last, last = page;
  number("errno", errno);
  /* Under hooks a thread has a block of its own. */
  munmap(last, 1 << 20);
  munmap(before, 1 << 20);
  say(mebibytes > 20 && mebibytes < 64 ? "some memory\n" : "no memory\n");
  pthread_t thread;
  number("thread", pthread_create(&thread, NULL, (void *(*)(void *))getpid, NULL));
  number("malloc", malloc(4 << 20) != NULL);
  signal(SIGUSR1, (void (*)(int))getpid);
  number("raise", raise(SIGUSR1));
  const pid_t child = fork();
  if (child == 0) _exit(5);
  int status = 0;
  waitpid(child, &status, 0);
  number("child", status >> 8);
  return 0;
}

static __attribute__((noinline)) long deep(long n, volatile char *before) {
  volatile char frame[1024];
  frame[0] = (char)n;
  getppid();
  return n == 0 ? before != NULL : deep(n - 1, frame) + (frame[0] & 0);
}

static int stack(char *self, int is_child) {
  if (is_child) {
    struct rlimit limit;
    getrlimit(RLIMIT_STACK, &limit);
    number("limit", (long)limit.rlim_cur);
    const long frames = (long)limit.rlim_cur / 1100 - 40;
    number("deep", deep(frames / 10 * 8, NULL));
    say("and now too deep\n");
    deep(frames * 2, NULL);
    say("survived\n");
    return 0;
  }
  const long limits[] = {256 << 10, 512 << 10, 1 << 20};
  for (int i = 0; i < 3; i++) {
    const struct rlimit limit = {(rlim_t)limits[i], RLIM_INFINITY}, none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    const pid_t child = fork();
    if (child == 0) {
      setrlimit(RLIMIT_STACK, &limit);
      execl(self, self, "deep", NULL);
      _exit(1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    number("status", status);
  }
  return 0;
}

/* --- Filters */
static int strict(void) {
  char byte;
  int pipe_of[2];
  if (pipe(pipe_of) != 0) return 1;
  say("strict\n");
  if (prctl(PR_SET_SECCOMP, 1, 0, 0, 0) != 0) return 1;
  for (int i = 0; i < 100; i++)
    if (write(pipe_of[1], "x", 1) != 1 || read(pipe_of[0], &byte, 1) != 1) return 1;
  say("a hundred calls\n");
  /* What is left of exit: exit_group is none of the four. */
  syscall(SYS_exit, 44);
  return 1;
}

static volatile int handled;
static void handler(int number_of_it) {
  (void)number_of_it;
  if (write(1, "", 0) == 0) handled++;
}

static int allow(const int *calls, int count) {
  struct sock_filter filter[64];
  int n = 0;
  filter[n++] = (struct sock_filter){LOAD, 0, 0, 0};
  for (int i = 0; i < count; i++) {
    filter[n++] = (struct sock_filter){EQUAL, 0, 1, (uint32_t)calls[i]};
    filter[n++] = (struct sock_filter){RETURN, 0, 0, ALLOW};
  }
  filter[n++] = (struct sock_filter){RETURN, 0, 0, KILL};
  struct sock_fprog program = {(unsigned short)n, filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, 2, &program, 0, 0) == 0;
}

static int whitelist(int is_small) {
  static const int calls[] = {SYS_write,  SYS_exit_group, SYS_rt_sigreturn, SYS_getppid, SYS_rt_sigaction, SYS_mmap,
                              SYS_munmap, SYS_tgkill,     SYS_setitimer,    SYS_clone,   SYS_wait4,        SYS_exit};
  const pid_t pid = getpid(), tid = (pid_t)syscall(SYS_gettid);
  const struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &never, NULL);
  say("filtered\n");
  signal(SIGUSR1, handler);
  /* The small one has no rt_sigaction: handlers run all the same. */
  if (!allow(calls, is_small ? 4 : sizeof calls / sizeof *calls)) return 1;
  for (int i = 0; i < 1000; i++) getppid();
  if (!is_small) {
    for (int i = 0; i < 100; i++) {
      syscall(SYS_tgkill, pid, tid, SIGUSR1);
      struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
      sigaction(SIGALRM, &action, NULL);
    }
    setitimer(ITIMER_REAL, &often, NULL);
    while (handled < 300) getppid();
    setitimer(ITIMER_REAL, &never, NULL);
    void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(page, 4096);
    const long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) syscall(SYS_exit, 3);
    int status = 0;
    syscall(SYS_wait4, child, &status, 0, NULL);
    say(status == 0x300 ? "and a child\n" : "and no child\n");
  }
  say("all allowed\n");
  /* And what is not allowed still kills. */
  if (is_small) return 0;
  getpgid(0);
  return 1;
}

static int mdwe(void) {
  const long answer = prctl(65, 1, 0, 0, 0);
  number("PR_SET_MDWE", answer);
  void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  number("writable, then executable", mprotect(page, 4096, PROT_READ | PROT_EXEC));
  number("both",
         mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
  signal(SIGUSR1, handler);
  raise(SIGUSR1);
  pthread_t thread;
  number("thread", pthread_create(&thread, NULL, (void *(*)(void *))getpid, NULL));
  pthread_join(thread, NULL);
  return 0;
}

static int mdwe_exec(char *self) {
  const pid_t child = fork();
  if (child == 0) {
    if (prctl(65, 1, 0, 0, 0) != 0) _exit(2);
    execl(self, self, "mdwe", NULL);
    _exit(1);
  }
  int status;
  waitpid(child, &status, 0);
  number("executed under it", status);
  return 0;
}

int main(int argc, char **argv) {
  const char *const word = argc > 1 ? argv[1] : "";
  if (strcmp(word, "descriptors") == 0) return descriptors();
  if (strcmp(word, "files") == 0) return files();
  if (strcmp(word, "memory") == 0) return memory();
  if (strcmp(word, "stack") == 0) return stack(argv[0], 0);
  if (strcmp(word, "deep") == 0) return stack(argv[0], 1);
  if (strcmp(word, "strict") == 0) return strict();
  if (strcmp(word, "whitelist") == 0) return whitelist(0);
  if (strcmp(word, "small") == 0) return whitelist(1);
  if (strcmp(word, "mdwe") == 0) return mdwe();
  if (strcmp(word, "mdwe_exec") == 0) return mdwe_exec(argv[0]);
  return 1;
}
