// Goes into another network namespace by one of the ways that there are, and says there what it finds of
// its descriptors. Executes itself, and a shell, from there.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kBeyond = 1100 };

static void must(int is_good, const char* what) {
  if (is_good) return;
  perror(what);
  exit(2);
}

static int lowest_free(void) {
  const int fd = dup(0);
  close(fd);
  return fd;
}

static int count_open(void) {
  int count = 0;
  for (int fd = 0; fd < kBeyond; ++fd) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

static int is_null(int fd) {
  struct stat wanted, found;
  return stat("/dev/null", &wanted) == 0 && fstat(fd, &found) == 0 && found.st_rdev == wanted.st_rdev;
}

// All of them, one by one.
static void close_each(void) {
  int closed = 0, strange = 0;
  for (int fd = 3; fd < kBeyond; ++fd) {
    if (close(fd) == 0) ++closed;
    else if (errno != EBADF) ++strange;
  }
  printf("closed %d, strange %d\n", closed, strange);
}

// A number that somebody may have taken is the program's when it wants it.
static void take_each(int (*take)(int, int)) {
  int taken = 0;
  const int null = open("/dev/null", O_RDWR);
  for (int fd = 900; fd < kBeyond - 50; ++fd) taken += take(null, fd) == fd && is_null(fd);
  int still = 0;
  for (int fd = 900; fd < kBeyond - 50; ++fd) still += is_null(fd);
  printf("took %d, has %d\n", taken, still);
}

static int take_by_dup3(int from, int to) {
  return dup3(from, to, O_CLOEXEC);
}

static void close_all(unsigned first, unsigned last, unsigned flags) {
  const long answer = syscall(SYS_close_range, first, last, flags);
  printf("close_range %ld, %d: lowest %d\n", answer, answer < 0 ? errno : 0, lowest_free());
}

// Where the network has but a loopback device, and that is down.
static int is_alone(void) {
  char line[256];
  int lines = 0;
  FILE* file = fopen("/proc/self/net/dev", "r");
  must(file != NULL, "/proc/self/net/dev");
  while (fgets(line, sizeof(line), file)) ++lines;
  fclose(file);
  return lines == 3;
}

static void run_self(const char* self, const char* what) {
  const pid_t child = fork();
  if (child == 0) {
    execl(self, self, what, NULL);
    _exit(127);
  }
  int status = 0;
  must(waitpid(child, &status, 0) == child, "waitpid");
  printf("%s: %x\n", what, (unsigned)status);
}

static void look(const char* self) {
  printf("alone %d, lowest %d\n", is_alone(), lowest_free());
  fflush(stdout);
  run_self(self, "again");
  close_each();
  run_self(self, "again");
  take_each(dup2);
  close_all(3, ~0U, 0);
  take_each(take_by_dup3);
  run_self(self, "again");
  close_all(3, kBeyond, CLOSE_RANGE_UNSHARE);
  close_all(1000, ~0U, CLOSE_RANGE_CLOEXEC);
  close_all(5, 4, 0);
  close_all(3, ~0U, 1U << 30);
  run_self(self, "shell");
  fflush(stdout);
}

static int by_clone3(void) {
  struct clone_args arguments;
  memset(&arguments, 0, sizeof(arguments));
  arguments.flags = CLONE_NEWNET;
  arguments.exit_signal = SIGCHLD;
  return (int)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

// As Go's runtime starts one that is to unshare.
static int by_vfork(const char* self) {
  const pid_t child = vfork();
  if (child == 0) {
    if (unshare(CLONE_NEWNET) == 0) execl(self, self, "look", NULL);
    _exit(127);
  }
  // Nothing of that is left here: what it has opened there is not open, and what is opened here, with
  // the same number, is this program's.
  waitpid(child, NULL, 0);
  const int null = open("/dev/null", O_RDONLY);
  const int taken = fcntl(null, F_DUPFD, 1008);
  printf("back: %d open, took %d, closed it %d\n", count_open(), taken, close(taken));
  run_self("./fresh", "again");
  return -2;
}

static int by_setns(void) {
  const int here = open("/proc/self/ns/net", O_RDONLY);
  int ready[2], done[2];
  must(pipe(ready) == 0 && pipe(done) == 0, "pipe");
  char path[64], byte = 0;
  const pid_t child = (pid_t)syscall(SYS_clone, (unsigned long)(CLONE_NEWNET | SIGCHLD), NULL, NULL, NULL, NULL);
  if (child == 0) {
    close(done[1]);
    _exit(write(ready[1], "x", 1) != 1 || read(done[0], &byte, 1) < 0);
  }
  must(read(ready[0], &byte, 1) == 1, "read");
  snprintf(path, sizeof(path), "/proc/%d/ns/net", child);
  const int there = open(path, O_RDONLY);
  must(there >= 0 && setns(there, 0) == 0, "setns");
  for (int fd = here; fd <= there; ++fd) close(fd);
  must(waitpid(child, NULL, 0) == child, "waitpid");
  return 0;
}

static int go(const char* way, const char* self) {
  if (strcmp(way, "unshare") == 0) return unshare(CLONE_NEWNET);
  if (strcmp(way, "clone") == 0)
    return (int)syscall(SYS_clone, (unsigned long)(CLONE_NEWNET | SIGCHLD), NULL, NULL, NULL, NULL);
  if (strcmp(way, "clone3") == 0) return by_clone3();
  if (strcmp(way, "vfork") == 0) return by_vfork(self);
  if (strcmp(way, "setns") == 0) return by_setns();
  if (strcmp(way, "failing") != 0) return -1;
  // Nothing has changed.
  const int left = unshare(CLONE_NEWNET | 1), entered = setns(0, CLONE_NEWNET);
  printf("unshare %d, setns %d: %d open\n", left, entered, count_open());
  return 0;
}

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  const char* self = argv[0];
  if (strcmp(argv[1], "again") == 0) {
    printf("  again: alone %d, lowest %d\n", is_alone(), lowest_free());
    return 0;
  }
  if (strcmp(argv[1], "shell") == 0) return execl("/bin/sh", "sh", "-c", "echo \"  $(ls -d /bin/true)\"", NULL);
  if (strcmp(argv[1], "look") == 0) {
    look(self);
    return 0;
  }
  setvbuf(stdout, NULL, _IONBF, 0);
  const int child = go(argv[1], self);
  if (child == -2) return 0;
  must(child >= 0, argv[1]);
  if (child == 0) {
    look(self);
    return 0;
  }
  int status = 0;
  must(waitpid(child, &status, 0) == child, "waitpid");
  return status != 0;
}
