/* /proc/self/exe and its other names, opened and looked at by every call that follows a link; and paths that are
 * no addresses. What is printed depends on nothing but the kernel.
 *
 *   own_exe PATH     PATH is this program's file */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct stat own;

static void say(const char *what, long answer) {
  printf("%s: %s\n", what, answer < 0 ? strerror(errno) : "done");
}

static void say_which(const char *what, long answer, const struct stat *found) {
  if (answer < 0) return say(what, answer);
  printf("%s: %s\n", what, S_ISLNK(found->st_mode)                                           ? "the link"
                           : found->st_ino == own.st_ino && found->st_dev == own.st_dev ? "the program"
                                                                                             : "another file");
}

static void say_file(const char *what, long descriptor) {
  struct stat found = {0};
  if (descriptor >= 0) fstat(descriptor, &found);
  say_which(what, descriptor, &found);
  if (descriptor >= 0) close(descriptor);
}

static void look(const char *name) {
  struct stat found = {0};
  struct statx more = {0};
  struct open_how how = {0}, no_links = {.resolve = RESOLVE_NO_MAGICLINKS};
  const int here = AT_FDCWD;
  say_file("open", syscall(SYS_open, name, O_RDONLY));
  say_file("openat", openat(here, name, O_RDONLY | O_CLOEXEC));
  say_file("openat2", syscall(SYS_openat2, here, name, &how, sizeof how));
  say_file("openat2 without links", syscall(SYS_openat2, here, name, &no_links, sizeof no_links));
  say_file("open to write", open(name, O_RDWR));
  say_file("open and cut", open(name, O_RDONLY | O_TRUNC));
  say_file("open no link", open(name, O_RDONLY | O_NOFOLLOW));
  say_file("path", open(name, O_PATH));
  say_file("path of the link", open(name, O_PATH | O_NOFOLLOW));
  say_which("stat", syscall(SYS_stat, name, &found), &found);
  say_which("lstat", lstat(name, &found), &found);
  say_which("fstatat", fstatat(here, name, &found, 0), &found);
  say_which("fstatat of the link", fstatat(here, name, &found, AT_SYMLINK_NOFOLLOW), &found);
  const long answer = statx(here, name, 0, STATX_INO, &more);
  printf("statx: %ld %s\n", answer, more.stx_ino == own.st_ino ? "the program" : "another file");
  say("access", syscall(SYS_access, name, R_OK));
  say("faccessat", syscall(SYS_faccessat, here, name, X_OK));
  say("faccessat2", syscall(SYS_faccessat2, here, name, R_OK, 0));
}

static void no_addresses(void) {
  char *const pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(pages + 4096, 4096);
  strcpy(pages + 4094, "/");
  say_file("a path at the end of a page", open(pages + 4094, O_PATH));
  pages[4095] = 'a';
  const uint64_t none[] = {0, 1, (uint64_t)-1, 0x7fffffffff00, 0x8000000000000000, (uint64_t)pages + 4095};
  for (unsigned i = 0; i < sizeof none / sizeof *none; i++) {
    say("open", syscall(SYS_open, none[i], 0));
    say("openat", syscall(SYS_openat, AT_FDCWD, none[i], 0));
    say("stat", syscall(SYS_stat, none[i], NULL));
    say("statx", syscall(SYS_statx, AT_FDCWD, none[i], 0, 0, 0));
    say("access", syscall(SYS_access, none[i], 0));
  }
}

static void show_action(int signal) {
  struct sigaction action;
  sigaction(signal, NULL, &action);
  printf("%d: %s, flags %x\n", signal,
         action.sa_handler == SIG_DFL ? "default" : action.sa_handler == SIG_IGN ? "ignored" : "handled",
         (unsigned)action.sa_flags);
}

/* Faults do what they do natively, beside those of paths. */
static void faults(void) {
  static const int signals[] = {SIGSEGV, SIGBUS};
  for (int i = 0; i < 2; i++) {
    show_action(signals[i]);
    signal(signals[i], SIG_IGN);
    show_action(signals[i]);
    signal(signals[i], SIG_DFL);
    show_action(signals[i]);
  }
  fflush(stdout);
  for (int i = 0; i < 2; i++) {
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
      if (i == 0) *(volatile int *)8 = 1;
      raise(SIGBUS);
    }
    waitpid(child, &status, 0);
    printf("a child ends by signal %d\n", WTERMSIG(status));
  }
}

int main(int argc, char **argv) {
  char with_number[64];
  if (argc != 2 || stat(argv[1], &own) != 0) return 2;
  sprintf(with_number, "/proc/%d/exe", getpid());
  look("/proc/self/exe");
  look("/proc/thread-self/exe");
  look(with_number);
  no_addresses();
  faults();
  return 0;
}
