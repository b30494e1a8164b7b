/* What signals do to system calls, checked by the program itself: the same under any hook. Each check
 * prints one line; what depends on time is not printed. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

static int failures;

static void check(int good, const char *what) {
  printf("%s: %s\n", good ? "ok" : "FAILED", what);
  fflush(stdout);
  failures += !good;
}

static void handle(int signal, void (*handler)(int), int flags) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = handler;
  action.sa_flags = flags;
  if (sigaction(signal, &action, NULL) != 0) exit(9);
}

static void tick_every(long microseconds) {
  struct itimerval timer = {{0, microseconds}, {0, microseconds}};
  setitimer(ITIMER_REAL, &timer, NULL);
}

static atomic_int seen;

static void count(int signal) {
  (void)signal;
  ++seen;
}

/* Calls in a handler, while calls are interrupted. */
static atomic_int bad_calls;

static void call_in_handler(int signal) {
  (void)signal;
  int saved = errno;
  if (syscall(SYS_getppid) != getppid() || syscall(SYS_close, -1) != -1 || errno != EBADF)
    ++bad_calls;
  errno = saved;
  ++seen;
}

static void calls_under_ticks(void) {
  seen = bad_calls = 0;
  handle(SIGALRM, call_in_handler, 0);
  tick_every(100);
  pid_t pid = getpid();
  int wrong = 0;
  long rounds = 0;
  while (seen < 3000) {
    wrong += syscall(SYS_getpid) != pid;
    wrong += syscall(SYS_close, -1) != -1 || errno != EBADF;
    ++rounds;
  }
  tick_every(0);
  check(wrong == 0 && bad_calls == 0, "calls and calls in handlers, at 10 kHz");
}

/* H1: a second signal must not overwrite the first handler's frame on the alternate stack. */
static atomic_int deep, overwritten;

static void deep_handler(int signal) {
  volatile unsigned char canary[512];
  memset((void *)canary, 0x40 + signal, sizeof canary);
  int depth = ++deep;
  for (int i = 0; i < 20; i++) syscall(SYS_getppid);
  for (unsigned i = 0; i < sizeof canary; i++)
    if (canary[i] != 0x40 + signal) ++overwritten;
  (void)depth;
  --deep;
  ++seen;
}

static void *pester(void *target) {
  pthread_t thread = *(pthread_t *)target;
  while (seen < 6000) {
    pthread_kill(thread, SIGUSR1);
    struct timespec pause = {0, 30000};
    nanosleep(&pause, NULL);
  }
  return NULL;
}

static void *volatile frame_seen;
static void note_frame(int signal) {
  (void)signal;
  frame_seen = __builtin_frame_address(0);
  ++seen;
}

static void on_alternate_stack(unsigned flags, const char *what) {
  size_t size = 1 << 17;
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  stack_t stack = {memory, (int)flags, size};
  if (sigaltstack(&stack, NULL) != 0) exit(8);
  seen = overwritten = deep = 0;
  handle(SIGALRM, deep_handler, SA_ONSTACK);
  handle(SIGUSR1, deep_handler, SA_ONSTACK);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGALRM);
  sigaddset(&set, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  pthread_t self = pthread_self(), thread;
  pthread_create(&thread, NULL, pester, &self);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  tick_every(100);
  while (seen < 6000) syscall(SYS_getppid);
  tick_every(0);
  pthread_join(thread, NULL);
  check(overwritten == 0, what);
  stack_t now;
  sigaltstack(NULL, &now);
  check(now.ss_sp == memory && now.ss_size == size, "the alternate stack is the one that was set");
  stack.ss_flags = SS_DISABLE;
  sigaltstack(&stack, NULL);
  munmap(memory, size);
}

/* One with room for the kernel's frame, whose size depends on the processor, 1 KiB more, and nothing else. */
static void on_small_alternate_stack(void) {
  const size_t size = 1 << 17;
  unsigned char *const memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  stack_t stack = {memory, 0, size};
  if (sigaltstack(&stack, NULL) != 0) exit(8);
  seen = 0;
  handle(SIGUSR1, note_frame, SA_ONSTACK);
  handle(SIGALRM, note_frame, SA_ONSTACK);
  raise(SIGUSR1);
  const size_t below = (size_t)((unsigned char *)frame_seen - memory) - 1024;
  memset(memory, 0x5a, below);
  stack.ss_sp = memory + below, stack.ss_size = size - below;
  if (sigaltstack(&stack, NULL) != 0) exit(8);
  for (int i = 0; i < 100; i++) raise(SIGUSR1);
  tick_every(100);
  while (seen < 600) syscall(SYS_getppid);
  tick_every(0);
  size_t changed = 0;
  for (size_t i = 0; i < below; i++) changed += memory[i] != 0x5a;
  check(changed == 0, "what lies below a small alternate stack is as it was");
  stack.ss_flags = SS_DISABLE;
  sigaltstack(&stack, NULL);
}

/* A handler that wants an alternate stack, where there is none, runs on the ordinary one. */
static volatile uintptr_t handler_stack;

static void note_stack(int signal) {
  volatile char here = (char)signal;
  handler_stack = (uintptr_t)&here;
  ++seen;
}

static void without_alternate_stack(void) {
  volatile char here = 0;
  stack_t stack;
  for (int i = 0; i < 3; i++) {
    seen = 0;
    handle(SIGUSR1, note_stack, SA_ONSTACK);
    raise(SIGUSR1);
    check(seen == 1 && (uintptr_t)&here - handler_stack < 1 << 16,
          "a handler with SA_ONSTACK, without an alternate stack");
    handle(SIGALRM, note_stack, SA_ONSTACK);
    /* Again and again: where others work, too, the first may come before the call. */
    tick_every(500);
    check(pause() == -1 && seen >= 2 && (uintptr_t)&here - handler_stack < 1 << 16,
          "likewise, from a call that waits");
    tick_every(0);
    check(sigaltstack(NULL, &stack) == 0 && stack.ss_flags == SS_DISABLE && stack.ss_size == 0,
          "there is no alternate stack to be seen");
  }
}

/* Out of a handler by longjmp, from a call that waits. */
static sigjmp_buf before;

static void jump(int signal) { siglongjmp(before, signal); }

static void leave_by_longjmp(void) {
  int pipe_[2];
  if (pipe(pipe_) != 0) exit(7);
  int good = 0;
  for (int i = 0; i < 500; i++) {
    handle(SIGALRM, jump, 0);
    char byte;
    if (sigsetjmp(before, 1) == 0) {
      struct itimerval once = {{0, 0}, {0, 300}};
      setitimer(ITIMER_REAL, &once, NULL);
      if (read(pipe_[0], &byte, 1) != -1) exit(6);
    } else {
      good += syscall(SYS_getppid) == getppid();
    }
  }
  close(pipe_[0]);
  close(pipe_[1]);
  check(good == 500, "siglongjmp out of a handler that interrupted a read");
}

/* Out of a handler by setcontext, which issues no rt_sigreturn. */
#ifdef __GLIBC__
static ucontext_t back;
static volatile int contexts;

static void switch_context(int signal) {
  (void)signal;
  ++contexts;
  setcontext(&back);
}

static void leave_by_setcontext(void) {
  sigset_t none;
  sigemptyset(&none);
  contexts = 0;
  handle(SIGALRM, switch_context, SA_NODEFER);
  getcontext(&back);
  if (contexts < 200) {
    struct itimerval once = {{0, 0}, {0, 300}};
    setitimer(ITIMER_REAL, &once, NULL);
    for (;;) pause();
  }
  check(contexts == 200, "setcontext out of a handler that interrupted pause");
}
#else
static void leave_by_setcontext(void) {
  check(1, "setcontext out of a handler that interrupted pause");
}
#endif

static void interrupted_and_restarted(void) {
  int pipe_[2];
  char byte = 0;
  if (pipe(pipe_) != 0) exit(5);
  seen = 0;
  handle(SIGALRM, count, 0);
  tick_every(2000);
  ssize_t got = read(pipe_[0], &byte, 1);
  check(got == -1 && errno == EINTR && seen >= 1, "EINTR without SA_RESTART");
  tick_every(0);
  seen = 0;
  handle(SIGALRM, count, SA_RESTART);
  pid_t child = fork();
  if (child == 0) {
    struct timespec pause = {0, 30000000};
    nanosleep(&pause, NULL);
    _exit(write(pipe_[1], "x", 1) == 1 ? 0 : 1);
  }
  tick_every(2000);
  got = read(pipe_[0], &byte, 1);
  check(got == 1 && byte == 'x' && seen >= 1, "read goes on after a handler with SA_RESTART");
  tick_every(0);
  waitpid(child, NULL, 0);
  struct pollfd wait = {pipe_[0], POLLIN, 0};
  tick_every(2000);
  check(poll(&wait, 1, 1000) == -1 && errno == EINTR, "poll is never restarted");
  tick_every(0);
  close(pipe_[0]);
  close(pipe_[1]);
}

/* restart_syscall: stopped and continued in the middle of a sleep. */
static void stopped_in_sleep(void) {
  pid_t self = getpid();
  pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 5; i++) {
      struct timespec pause = {0, 10000000};
      nanosleep(&pause, NULL);
      kill(self, SIGSTOP);
      nanosleep(&pause, NULL);
      kill(self, SIGCONT);
    }
    _exit(0);
  }
  struct timespec start, end, rest = {0, 0}, length = {0, 200000000};
  clock_gettime(CLOCK_MONOTONIC, &start);
  int result = nanosleep(&length, &rest);
  clock_gettime(CLOCK_MONOTONIC, &end);
  long long slept = (end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec;
  check(result == 0 && slept >= 200000000, "nanosleep sleeps on after SIGSTOP and SIGCONT");
  waitpid(child, NULL, 0);
}

static void waited_for(void) {
  sigset_t set, old, pending;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, &old);
  seen = 0;
  handle(SIGUSR1, count, 0);
  kill(getpid(), SIGUSR1);
  sigpending(&pending);
  check(sigismember(&pending, SIGUSR1) == 1 && seen == 0, "a blocked signal is pending");
  int number = 0;
  check(sigwait(&set, &number) == 0 && number == SIGUSR1 && seen == 0, "sigwait");
  int fd = signalfd(-1, &set, 0);
  kill(getpid(), SIGUSR1);
  struct signalfd_siginfo info;
  check(read(fd, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1, "signalfd");
  close(fd);
  kill(getpid(), SIGUSR1);
  sigset_t without = old;
  sigdelset(&without, SIGUSR1);
  check(sigsuspend(&without) == -1 && errno == EINTR && seen == 1, "sigsuspend");
  sigset_t now;
  sigprocmask(SIG_SETMASK, NULL, &now);
  check(sigismember(&now, SIGUSR1) == 1, "and the mask is as before");
  kill(getpid(), SIGUSR1);
  struct timespec soon = {1, 0};
  check(ppoll(NULL, 0, &soon, &without) == -1 && errno == EINTR && seen == 2, "ppoll");
  sigprocmask(SIG_SETMASK, &old, NULL);
}

static void mask_in_handler(int signal) {
  sigset_t now;
  sigprocmask(SIG_SETMASK, NULL, &now);
  seen = sigismember(&now, signal) * 100 + sigismember(&now, SIGUSR2) * 10 +
         sigismember(&now, SIGHUP);
}

static void dispositions(void) {
  struct sigaction action, old;
  memset(&action, 0, sizeof action);
  action.sa_handler = mask_in_handler;
  sigemptyset(&action.sa_mask);
  sigaddset(&action.sa_mask, SIGUSR2);
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, NULL);
  sigaction(SIGUSR1, NULL, &old);
  check(old.sa_handler == mask_in_handler && sigismember(&old.sa_mask, SIGUSR2) == 1 &&
            (old.sa_flags & (SA_RESTART | SA_SIGINFO | SA_ONSTACK)) == SA_RESTART,
        "sigaction gives back what was set");
  raise(SIGUSR1);
  check(seen == 110, "a handler's mask: its own signal and sa_mask");
  action.sa_flags = SA_RESETHAND | SA_NODEFER;
  sigaction(SIGUSR1, &action, NULL);
  raise(SIGUSR1);
  sigaction(SIGUSR1, NULL, &old);
  check(old.sa_handler == SIG_DFL, "SA_RESETHAND");
  signal(SIGUSR1, SIG_IGN);
  raise(SIGUSR1);
  sigaction(SIGUSR1, NULL, &old);
  check(old.sa_handler == SIG_IGN, "an ignored signal");
  for (int i = SIGRTMIN; i <= SIGRTMAX; i++) {
    sigaction(i, NULL, &old);
    if (old.sa_handler != SIG_DFL) check(0, "real-time signals have their default");
  }
  for (int i = 1; i < 32; i++) {
    if (i == SIGUSR1 || i == SIGALRM || i == SIGCHLD) continue;
    sigaction(i, NULL, &old);
    if (old.sa_handler != SIG_DFL && old.sa_handler != count) printf("%d is handled\n", i);
  }
  errno = 0;
  check(sigaction(SIGKILL, &action, NULL) == -1 && errno == EINVAL, "SIGKILL cannot be handled");
  check(syscall(SYS_rt_sigaction, 70, NULL, NULL, 8) == -1 && errno == EINVAL, "nor can 70");
  check(syscall(SYS_rt_sigaction, SIGUSR1, NULL, (void *)8, 8) == -1 && errno == EFAULT,
        "nor a bad address be written to");
}

/* A queue of real-time signals, with values, in order. */
static int values[64], value_count;

static void note_value(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)context;
  if (value_count < 64) values[value_count++] = info->si_value.sival_int;
}

static void queued(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = note_value;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGRTMIN + 3, &action, NULL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN + 3);
  sigprocmask(SIG_BLOCK, &set, NULL);
  for (int i = 0; i < 20; i++) sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = i});
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  int good = value_count == 20;
  for (int i = 0; i < 20; i++) good = good && values[i] == i;
  check(good, "twenty queued signals, in order, with their values");
}

/* fork and threads, with signals everywhere. */
static void *spin(void *argument) {
  (void)argument;
  for (int i = 0; i < 2000; i++) syscall(SYS_getppid);
  return NULL;
}

static void forks_and_threads(void) {
  seen = 0;
  handle(SIGALRM, call_in_handler, SA_RESTART);
  tick_every(200);
  int good = 1;
  for (int i = 0; i < 60; i++) {
    pthread_t threads[3];
    for (int j = 0; j < 3; j++) good &= pthread_create(&threads[j], NULL, spin, NULL) == 0;
    pid_t child = fork();
    if (child == 0) {
      spin(NULL);
      _exit(7);
    }
    int status = 0;
    good &= waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7;
    pid_t quick = vfork();
    if (quick == 0) _exit(8);
    good &= waitpid(quick, &status, 0) == quick && WEXITSTATUS(status) == 8;
    for (int j = 0; j < 3; j++) pthread_join(threads[j], NULL);
  }
  tick_every(0);
  check(good && bad_calls == 0, "threads, forks and vforks under ticks");
}

/* A fault of the program's own, handled. */
static volatile char *forbidden;
static sigjmp_buf after_fault;

static void on_fault(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)context;
  siglongjmp(after_fault, info->si_addr == (void *)forbidden ? 1 : 2);
}

static void faults(void) {
  forbidden = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, NULL);
  int way = sigsetjmp(after_fault, 1);
  if (way == 0) *forbidden = 1;
  check(way == 1, "SIGSEGV reaches its handler, with the address");
  action.sa_handler = SIG_DFL;
  action.sa_flags = 0;
  sigaction(SIGSEGV, &action, NULL);
  pid_t child = fork();
  if (child == 0) {
    *forbidden = 1;
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  check(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "and ends a program without one");
  child = fork();
  if (child == 0) {
    kill(getpid(), SIGSEGV);
    pause();
  }
  waitpid(child, &status, 0);
  check(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "also where it was sent");
  child = fork();
  if (child == 0) {
    __asm__ volatile("int3");
    _exit(0);
  }
  waitpid(child, &status, 0);
  check(WIFSIGNALED(status) && WTERMSIG(status) == SIGTRAP, "so does int3");
}

int main(void) {
  calls_under_ticks();
  on_alternate_stack(0, "no frame is overwritten on the alternate stack");
  on_alternate_stack(SS_AUTODISARM, "nor on one that disarms itself");
  on_small_alternate_stack();
  without_alternate_stack();
  leave_by_longjmp();
  leave_by_setcontext();
  interrupted_and_restarted();
  stopped_in_sleep();
  waited_for();
  dispositions();
  queued();
  forks_and_threads();
  faults();
  printf("%d failures\n", failures);
  return failures != 0;
}
