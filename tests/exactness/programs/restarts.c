/* Calls that the kernel takes up again by restart_syscall, since they wait for the rest of a time only.
 *
 *   restarts stops     each is stopped and continued, twice; and ends by what it waits for, or by a signal
 *   restarts strikes   a signal strikes when the call is about to be taken up: between the kernel and the instruction.
 *                      It takes a tracer to meet that moment
 *   restarts sleeps    is stopped and continued somewhere in a sleep, which is as long as it was meant to be */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LENGTH = 600, RESTART_BLOCK = 516 };

struct shared {
  volatile int word, handled;
  volatile long rax, is_behind;
} *shared;
static int pipe_of[2];
extern const char the_call[];

/* The one syscall instruction by which all that wait are made. */
__attribute__((noipa)) static long make(long number, long a, long b, long c, long d) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = 0;
  __asm__ volatile(".globl the_call\nthe_call: syscall\n\tnop\n\tnop\n\tnop\n\tnop"
                   : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
  return result;
}

static void handle(int number, siginfo_t *info, void *argument) {
  const ucontext_t *const context = argument;
  (void)info;
  shared->rax = context->uc_mcontext.gregs[REG_RAX];
  shared->is_behind = context->uc_mcontext.gregs[REG_RIP] - (long)the_call;
  shared->handled += number == SIGUSR1;
}

static struct timespec rest;
static const struct timespec length = {LENGTH, 0};

static long sleeps(void) { return make(SYS_nanosleep, (long)&length, (long)&rest, 0, 0); }
static long sleeps_by_clock(void) { return make(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, (long)&length, (long)&rest); }
static long polls(void) {
  struct pollfd what = {.fd = pipe_of[0], .events = POLLIN};
  return make(SYS_poll, (long)&what, 1, LENGTH * 1000, 0);
}
static long waits_for_a_word(void) { return make(SYS_futex, (long)&shared->word, 0, 7, (long)&length); }

static const struct way {
  const char *name;
  long (*wait)(void);
  long number;
  int has_rest;
} ways[] = {{"nanosleep", sleeps, SYS_nanosleep, 1},
            {"clock_nanosleep", sleeps_by_clock, SYS_clock_nanosleep, 1},
            {"poll", polls, SYS_poll, 0},
            {"futex", waits_for_a_word, SYS_futex, 0}};

static void wait_and_tell(const struct way *way, int is_restarting) {
  const struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | (is_restarting ? SA_RESTART : 0)};
  sigaction(SIGUSR1, &action, NULL);
  rest.tv_sec = -1;
  const long result = way->wait();
  printf("%s: %ld, handled %d", way->name, result, shared->handled);
  /* Where the kernel has not come to the call again, or has just left it: as a signal finds it. */
  if (shared->handled != 0)
    printf(", at the call %d", (shared->is_behind == 0 && shared->rax == SYS_restart_syscall) ||
                                   (shared->is_behind == 2 && shared->rax == -EINTR));
  if (way->has_rest) printf(", a rest %d", rest.tv_sec >= 0 && rest.tv_sec <= LENGTH);
  printf("\n");
}

/* Until the kernel says that the child waits in the call. */
static void await_call(pid_t child, long number) {
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/%d/syscall", child);
  for (;;) {
    const int file = open(path, O_RDONLY);
    const ssize_t size = read(file, line, sizeof line - 1);
    close(file);
    if (size < 0) exit(3);
    line[size] = 0;
    if (line[0] != 'r' && atol(line) == number) return;
    sched_yield();
  }
}

static void prepare(void) {
  memset(shared, 0, sizeof *shared);
  shared->word = 7;
  if (pipe(pipe_of) != 0) exit(2);
  fflush(stdout);
}

static void end(pid_t child) {
  int status = -1;
  waitpid(child, &status, 0);
  if (status != 0) printf("status %x\n", status);
  close(pipe_of[0]);
  close(pipe_of[1]);
}

static void stop_in(const struct way *way, int is_struck) {
  prepare();
  const pid_t child = fork();
  if (child == 0) {
    wait_and_tell(way, 0);
    exit(0);
  }
  int status;
  for (int i = 0; i < 2; i++) {
    await_call(child, i == 0 ? way->number : SYS_restart_syscall);
    kill(child, SIGSTOP);
    waitpid(child, &status, WUNTRACED);
    kill(child, SIGCONT);
    waitpid(child, &status, WCONTINUED);
  }
  await_call(child, SYS_restart_syscall);
  if (is_struck) {
    kill(child, SIGUSR1);
  } else if (way->number == SYS_poll) {
    if (write(pipe_of[1], "x", 1) != 1) exit(4);
  } else {
    /* It may not have come back to the call yet, from where it was stopped, and nothing keeps a wake. */
    while (syscall(SYS_futex, &shared->word, 1, 1, NULL, NULL, 0) == 0) sched_yield();
  }
  end(child);
}

/* What the kernel leaves of the call when it is about to be taken up, and a signal on top. */
static void strike(pid_t child) {
  struct user_regs_struct registers;
  int status;
  kill(child, SIGUSR1);
  waitpid(child, &status, 0);
  ptrace(PTRACE_GETREGS, child, NULL, &registers);
  if ((long)registers.rax != -RESTART_BLOCK) printf("not to be taken up: %lld\n", (long long)registers.rax);
  registers.rip -= 2;
  registers.rax = SYS_restart_syscall;
  registers.orig_rax = -1;
  ptrace(PTRACE_SETREGS, child, NULL, &registers);
  ptrace(PTRACE_DETACH, child, NULL, SIGUSR1);
}

static void strike_in(const struct way *way, int is_restarting) {
  prepare();
  const pid_t child = fork();
  if (child == 0) {
    /* Else it would hang where the call is made anew. */
    alarm(10);
    wait_and_tell(way, is_restarting);
    exit(0);
  }
  await_call(child, way->number);
  /* Not before: a tracer is given the signals of traps, too. */
  ptrace(PTRACE_SEIZE, child, NULL, NULL);
  strike(child);
  end(child);
}

static void sleep_through(void) {
  const struct timespec start_to_end = {0, 300000000};
  struct timespec start, end_of;
  prepare();
  const pid_t child = fork();
  if (child == 0) {
    clock_gettime(CLOCK_MONOTONIC, &start);
    const long result = make(SYS_nanosleep, (long)&start_to_end, 0, 0, 0);
    clock_gettime(CLOCK_MONOTONIC, &end_of);
    const long long slept = (end_of.tv_sec - start.tv_sec) * 1000000000LL + end_of.tv_nsec - start.tv_nsec;
    printf("slept: %ld, all of it %d\n", result, slept >= start_to_end.tv_nsec);
    exit(0);
  }
  for (int i = 0; i < 20; i++) {
    kill(child, i % 2 == 0 ? SIGSTOP : SIGCONT);
    usleep(5000);
  }
  end(child);
}

int main(int argc, char **argv) {
  const char *const word = argc > 1 ? argv[1] : "";
  shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 2;
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    const int ends_by_itself = !ways[i].has_rest;
    if (strcmp(word, "stops") == 0) stop_in(&ways[i], 1);
    if (strcmp(word, "stops") == 0 && ends_by_itself) stop_in(&ways[i], 0);
    if (strcmp(word, "strikes") == 0) strike_in(&ways[i], 0), strike_in(&ways[i], 1);
  }
  if (strcmp(word, "sleeps") == 0) sleep_through();
  return 0;
}
