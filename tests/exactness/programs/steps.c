/* A program that steps itself: what its handler is shown over system calls in windows of some shapes, as distances from
 * the labels around each call. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

/* step_SHAPE(number, a, b, c): TF is set behind the label begin_SHAPE and cleared before end_SHAPE. */
__asm__(
    ".macro STEP name before:vararg\n"
    ".globl step_\\name, begin_\\name, end_\\name\n"
    "step_\\name:\n mov %rdi, %rax\n mov %rsi, %rdi\n mov %rdx, %rsi\n mov %rcx, %rdx\n mov %r8, %r10\n"
    " begin_\\name: pushfq\n orq $0x100, (%rsp)\n popfq\n nop\n \\before\n syscall\n"
    ".endm\n"
    ".macro END name after:vararg\n"
    " \\after\n pushfq\n andq $~0x100, (%rsp)\n popfq\n nop\n end_\\name: ret\n nop\n nop\n nop\n nop\n nop\n"
    ".endm\n"
    " STEP plain\n END plain cmp $-4095, %rax\n"
    " STEP short\n END short nop\n"
    " STEP before mov $0x12345, %r9d\n END before mov %rax, %r9\n"
    " STEP both lea 8(%rsp), %r9\n mov %r9, %rcx\n mov %rax, %r9\n END both xchg %rcx, %r9\n"
    " STEP red mov %rsi, -16(%rsp)\n mov -16(%rsp), %rsi\n END red mov %rax, %r9\n mov %r9, %rax\n"
    /* A jump straight to the call. */
    ".globl step_jump, begin_jump, end_jump\n"
    "step_jump:\n mov %rdi, %rax\n mov %rsi, %rdi\n mov %rdx, %rsi\n mov %rcx, %rdx\n mov %r8, %r10\n"
    " begin_jump: pushfq\n orq $0x100, (%rsp)\n popfq\n nop\n jmp 1f\n mov $0x12345, %r9d\n 1: syscall\n"
    " END jump mov %rax, %r9\n");

#define SHAPE(name)                               \
  long step_##name(long, long, long, long, long); \
  extern char begin_##name[], end_##name[];
SHAPE(plain) SHAPE(short) SHAPE(before) SHAPE(both) SHAPE(red) SHAPE(jump) static const struct {
  const char *name;
  long (*step)(long, long, long, long, long);
  const char *begin, *end;
} shapes[] = {{"plain", step_plain, begin_plain, end_plain},     {"short", step_short, begin_short, end_short},
              {"before", step_before, begin_before, end_before}, {"both", step_both, begin_both, end_both},
              {"red", step_red, begin_red, end_red},             {"jump", step_jump, begin_jump, end_jump}};
#define SHAPES (sizeof shapes / sizeof *shapes)

static volatile int shape, steps;
static char seen[4096];
static uintptr_t stack_at_call;

static void note(const char *text) { strncat(seen, text, sizeof seen - strlen(seen) - 1); }

static void on_step(int number, siginfo_t *info, void *argument) {
  const greg_t *const r = ((ucontext_t *)argument)->uc_mcontext.gregs;
  const long from = (long)(r[REG_RIP] - (uintptr_t)shapes[shape].begin);
  const long size = shapes[shape].end - shapes[shape].begin;
  char text[200];
  if (++steps > 1000) _exit(3);
  if (from < 0 || from > size)
    snprintf(text, sizeof text, " [elsewhere]");
  else
    snprintf(text, sizeof text, " %ld", from);
  note(text);
  if (info->si_code != TRAP_TRACE) note(" code");
  if ((uintptr_t)info->si_addr != (uintptr_t)r[REG_RIP]) note(" address");
  if ((r[REG_EFL] & 0x100) == 0) note(" flags");
  if ((uintptr_t)r[REG_RSP] != stack_at_call && from > 8) note(" stack");
  (void)number;
}

static void run(const char *what, int i, long number, long a, long b, long c, long d) {
  shape = i;
  seen[0] = 0;
  steps = 0;
  __asm__ volatile("lea -8(%%rsp), %0" : "=r"(stack_at_call));
  const long answer = shapes[i].step(number, a, b, c, d);
  printf("%s, %s: %ld:%s\n", what, shapes[i].name, answer > 0 ? 1 : answer, seen);
  fflush(stdout);
}

static void on_alarm(int number) { (void)number, getppid(); }

int main(void) {
  struct sigaction action = {.sa_flags = SA_SIGINFO}, alarm_action = {.sa_handler = on_alarm};
  const struct itimerval soon = {{0, 0}, {0, 20000}};
  struct { /* the kernel's */
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
  } given = {SIG_IGN, 0, NULL, 0}, old;
  action.sa_sigaction = on_step;
  if (sigaction(SIGTRAP, &action, NULL) != 0) return 2;
  for (int i = 0; i < (int)SHAPES; i++) {
    run("getppid", i, SYS_getppid, 0, 0, 0, 0);
    run("write", i, SYS_write, -1, 0, 0, 0);
    run("rt_sigaction", i, SYS_rt_sigaction, SIGUSR1, (long)&given, (long)&old, 8);
    run("none", i, 5000, 0, 0, 0, 0);
    /* Whose handler is not stepped. */
    sigaction(SIGALRM, &alarm_action, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    run("pause", i, SYS_pause, 0, 0, 0, 0);
  }
  return 0;
}
