/* What other ways of seeing a system call cost: `mechanisms KIND CALLS` prints the nanoseconds that
 * CALLS calls of getppid took.
 *
 *   native   nobody looks
 *   files    nobody looks; a pair of open and close instead
 *   filter   a seccomp filter that lets all pass: what it costs to have one at all
 *   sigsys   seccomp raises SIGSYS, and the handler answers
 *   dispatch Syscall User Dispatch raises SIGSYS, and the handler answers
 *   notify   seccomp asks a thread of the same program, which lets the call go on
 *   ptrace   a tracer stops the program before and after each call
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_OFF 0
#define PR_SYS_DISPATCH_ON 1
#endif

static void fail(const char *what) {
  fprintf(stderr, "mechanisms: %s: %s\n", what, strerror(errno));
  exit(1);
}

static long ask(long number) {
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number) : "rcx", "r11", "memory");
  return result;
}

static volatile char selector; /* of Syscall User Dispatch: 0 lets calls through */

static void answer(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)info;
  selector = 0; /* so that rt_sigreturn is let through; set again by the loop */
  ((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = 42;
}

static void handle_sigsys(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = answer;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  if (sigaction(SIGSYS, &action, NULL) != 0) fail("sigaction");
}

static int install_filter(unsigned decision, unsigned flags) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, decision),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("PR_SET_NO_NEW_PRIVS");
  const long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
  if (fd < 0) fail("seccomp");
  return (int)fd;
}

static void *let_go_on(void *listener) {
  for (;;) {
    struct seccomp_notif call;
    memset(&call, 0, sizeof call);
    if (ioctl(*(int *)listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) return NULL;
    struct seccomp_notif_resp reply = {call.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    if (ioctl(*(int *)listener, SECCOMP_IOCTL_NOTIF_SEND, &reply) != 0) return NULL;
  }
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void run(long calls, int dispatches, long expected) {
  for (int round = 0; round < 2; round++) {
    const uint64_t start = now();
    for (long i = 0; i < (round == 0 ? calls / 16 + 1 : calls); i++) {
      if (dispatches) selector = 1;
      const long result = ask(SYS_getppid);
      if (expected != 0 ? result != expected : result <= 0) fail("another answer than expected");
    }
    selector = 0;
    if (round == 1) printf("%llu\n", (unsigned long long)(now() - start));
  }
  fflush(stdout);
  _exit(0);
}

static void open_and_close(long calls) {
  const uint64_t start = now();
  for (long i = 0; i < calls; i++) {
    const int fd = open("/etc/passwd", O_RDONLY);
    if (fd < 0 || close(fd) != 0) fail("/etc/passwd");
  }
  printf("%llu\n", (unsigned long long)(now() - start));
  exit(0);
}

static void trace(long calls) {
  const pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    run(calls, 0, 0);
  }
  int status = 0;
  while (waitpid(child, &status, 0) == child && WIFSTOPPED(status))
    if (ptrace(PTRACE_SYSCALL, child, 0, 0) != 0) fail("ptrace");
  exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  const char *kind = argv[1];
  const long calls = atol(argv[2]);
  if (strcmp(kind, "native") == 0) run(calls, 0, 0);
  if (strcmp(kind, "files") == 0) open_and_close(calls);
  if (strcmp(kind, "ptrace") == 0) trace(calls);
  if (strcmp(kind, "filter") == 0) {
    install_filter(SECCOMP_RET_ALLOW, 0);
    run(calls, 0, 0);
  }
  if (strcmp(kind, "sigsys") == 0) {
    handle_sigsys();
    install_filter(SECCOMP_RET_TRAP, 0);
    run(calls, 0, 42);
  }
  if (strcmp(kind, "dispatch") == 0) {
    handle_sigsys();
    if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector) != 0)
      fail("PR_SET_SYSCALL_USER_DISPATCH");
    run(calls, 1, 42);
  }
  if (strcmp(kind, "notify") == 0) {
    static int listener;
    listener = install_filter(SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
    pthread_t thread;
    if (pthread_create(&thread, NULL, let_go_on, &listener) != 0) fail("pthread_create");
    run(calls, 0, 0);
  }
  return 2;
}
