// bad_pointers FILE: paths that are not there, under everything that a program may do with the
// signals of bad memory. Each must be EFAULT, and no handler may run.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int handled;
static const char* file;
static char alternate[32768];

static void handler(int signal) {
  handled += signal != 0;
}

static int is_bad(const char* path) {
  struct stat status;
  return syscall(SYS_stat, path, &status) == -1 && errno == EFAULT;
}

static void probe(const char* when) {
  char* page = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(page + 4096, 4096);
  memset(page, '/', 4096);
  int empty = open(file, O_CREAT | O_RDWR | O_TRUNC, 0600);
  char* beyond = mmap(0, 4096, PROT_READ, MAP_SHARED, empty, 0);
  char* none = mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int bad = is_bad((char*)8) + is_bad((char*)0x8000000000000000) + is_bad((char*)-8) +
            is_bad((char*)0xffffffffff600000) + is_bad(page + 4096) + is_bad(page + 4092) +
            is_bad(beyond) + is_bad(none);
  page[4095] = 0;
  struct stat status;
  int good = stat(page + 4090, &status) == 0;
  close(empty);
  printf("%s: %d bad, %d good, %d handled\n", when, bad, good, handled);
}

static void set(void (*function)(int), int flags) {
  struct sigaction action = {.sa_handler = function, .sa_flags = flags};
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
}

int main(int count, char** arguments) {
  if (count != 2) return 2;
  file = arguments[1];
  probe("as it was");
  set(handler, 0);
  probe("with a handler");
  set(handler, SA_RESETHAND);
  probe("with a handler for once");
  raise(SIGSEGV);
  printf("raised: %d handled\n", handled);
  set(SIG_IGN, 0);
  probe("ignored");
  set(SIG_DFL, 0);
  probe("by default");
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &before);
  probe("blocked");
  sigprocmask(SIG_SETMASK, &before, NULL);
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
  sigaltstack(&stack, NULL);
  set(handler, SA_ONSTACK);
  probe("on an alternate stack");
  return 0;
}
