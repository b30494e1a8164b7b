"""Few calls wait for a lock, or for signals to be blocked: the others need neither."""
from comparison import build, same

# A thread that nothing but its own sleep takes the processor from, and one that runs in between. Where the lock
# of a call had the second one for its owner, the first one asked for it for ever.
PRIORITIES = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static volatile int stop;
static void* low(void* name) {
  char target[99];
  while (!stop) readlink(name, target, sizeof(target));
  return 0;
}
int main(void) {
  cpu_set_t all, one;
  sched_getaffinity(0, sizeof(all), &all);
  int cpu = 0;
  while (!CPU_ISSET(cpu, &all)) cpu++;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  sched_setaffinity(0, sizeof(one), &one);
  const struct sched_param priority = {.sched_priority = 1};
  const struct sched_param none = {.sched_priority = 0};
  alarm(20);
  const char* const names[] = {"/proc/self/cwd", "/proc/self/exe"};
  for (int i = 0; i < 2; i++) {
    pthread_t thread;
    stop = 0;
    pthread_create(&thread, 0, low, (void*)names[i]);
    if (sched_setscheduler(0, SCHED_FIFO, &priority) != 0) return puts("no priority"), 0;
    for (int j = 0; j < 1000; j++) {
      char target[99];
      usleep(300);
      readlink(names[i], target, sizeof(target));
    }
    sched_setscheduler(0, SCHED_OTHER, &none);
    stop = 1;
    pthread_join(thread, 0);
  }
  return puts("had the processor"), 0;
}
"""


def case_a_thread_with_a_priority(runner):
    ours = same(runner, ["./priorities"],
                prepare=lambda folder: build(folder, "priorities", PRIORITIES, "-pthread"))
    if ours.stdout == "no priority\n":
        print("not permitted here, natively neither")


# As Python's subprocess and closefrom() do, in a child that has its parent's memory.
KILLED = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static volatile pid_t child;
static void* killer(void* unused) {
  while (!child) usleep(10);
  usleep(1000 + rand() % 2000);
  kill(child, SIGKILL);
  return unused;
}
int main(void) {
  char target[99];
  int killed = 0;
  alarm(60);
  for (int i = 0; i < 30; i++) {
    pthread_t thread;
    int status;
    child = 0;
    pthread_create(&thread, 0, killer, 0);
    const pid_t pid = vfork();
    if (pid == 0) {
      child = getpid();
      for (;;) close(open("/proc/self/stat", O_RDONLY));
    }
    waitpid(pid, &status, 0);
    pthread_join(thread, 0);
    killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    readlink("/proc/self/cwd", target, sizeof(target));
  }
  printf("%d killed\n", killed);
}
"""


def case_a_child_of_vfork_killed_below_proc(runner):
    same(runner, ["./killed"], prepare=lambda folder: build(folder, "killed", KILLED, "-pthread"))


# It stops all other threads and looks at them below /proc, from a process that shares their memory.
LEAKS = r"""
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
int __lsan_do_recoverable_leak_check(void);
static volatile int stop;
static void* opens(void* unused) {
  while (!stop) close(open("/proc/self/stat", O_RDONLY));
  return unused;
}
int main(void) {
  pthread_t threads[2];
  int leaks = 0;
  alarm(60);
  for (int i = 0; i < 2; i++) pthread_create(&threads[i], 0, opens, 0);
  for (int i = 0; i < 20; i++) {
    usleep(2000);
    leaks += __lsan_do_recoverable_leak_check();
  }
  stop = 1;
  for (int i = 0; i < 2; i++) pthread_join(threads[i], 0);
  printf("%d leaks\n", leaks);
}
"""


def case_leak_sanitizer(runner):
    same(runner, ["./leaks"],
         prepare=lambda folder: build(folder, "leaks", LEAKS, "-pthread", "-fsanitize=leak"))


# A sandbox that allows what the program itself needs, and no masks, nor what looks into memory.
SANDBOX = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#define ALLOW(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
static void report(const char* what, long answer) {
  char line[99];
  const int size = snprintf(line, sizeof(line), "%s %d\n", what, answer < 0 ? errno : 0);
  syscall(SYS_write, 1, line, size);
}
int main(void) {
  // At the end of a page, with none behind it.
  char* const end = (char*)mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 4096;
  munmap(end, 4096);
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), ALLOW(SYS_write), ALLOW(SYS_openat), ALLOW(SYS_close),
      ALLOW(SYS_readlink), ALLOW(SYS_newfstatat), ALLOW(SYS_access), ALLOW(SYS_exit_group),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)};
  const struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) return 1;
  char target[99];
  struct stat status;
  report("readlink", readlink("/bin", target, sizeof(target)));
  report("readlink below /proc", readlink("/proc/self/cwd", target, sizeof(target)));
  report("open below /proc", open("/proc/self/status", O_RDONLY));
  report("open of a process", open("/proc/1/status", O_RDONLY));
  report("stat", stat("/proc", &status));
  report("access", access("/proc/self/task", R_OK));
  const char* const names[] = {"/", "/p", "/proc", "/proc/", "/proc/s", "/proc/self", "/proc/self/e", "/proc/self/"};
  for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    char* const at = end - strlen(names[i]) - 1;
    strcpy(at, names[i]);
    if (strcmp(names[i], "/proc/self/e") != 0) report(names[i], access(at, R_OK));
  }
  syscall(SYS_exit_group, 0);
}
"""


def case_a_sandbox_without_masks(runner):
    same(runner, ["./sandbox"], prepare=lambda folder: build(folder, "sandbox", SANDBOX))


# The last byte of a path is the last of its page, and nobody may be told of a fault.
PATHS = r"""
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
int main(void) {
  char* const end = (char*)mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 4096;
  munmap(end, 4096);
  signal(SIGSEGV, SIG_IGN);
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, 0);
  const char* const name = "/proc/thread-self/exe";
  for (unsigned length = 0; length <= strlen(name); length++) {
    char* const at = end - length - 1;
    memcpy(at, name, length);
    at[length] = 0;
    char target[4096];
    const long size = readlink(at, target, sizeof(target));
    const int file = open(at, O_RDONLY);
    printf("%u %d %d %.*s\n", length, access(at, R_OK), file >= 0, (int)(size < 0 ? 0 : size), target);
    if (file >= 0) close(file);
  }
}
"""


def case_paths_at_the_end_of_a_page(runner):
    same(runner, ["./paths"], prepare=lambda folder: build(folder, "paths", PATHS),
         normalise=[(r"\d+/task/\d+", "THREAD")])
