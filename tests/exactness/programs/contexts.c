/* What a handler sees of a call that it interrupts, and what becomes of what it changes there.
 *
 * The calls are made by code of this file, so that the addresses around each syscall are known; what is printed is
 * where rip, rsp, rcx, r11 and the rest are, compared with those. With a number: so many times, many signals at once.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* call_SHAPE(number, a, b, c): the syscall, in windows of some shapes. */
__asm__(
    ".macro MAKE_CALL name before:vararg\n"
    ".globl call_\\name, at_\\name\n"
    "call_\\name:\n mov %rdi, %rax\n mov %rsi, %rdi\n mov %rdx, %rsi\n mov %rcx, %rdx\n xor %r10d, %r10d\n"
    " mov $0x5151, %rcx\n mov $0x5252, %r11\n \\before\n at_\\name: syscall\n"
    ".endm\n"
    " MAKE_CALL plain\n cmp $-4095, %rax\n ret\n"
    " MAKE_CALL behind\n ret\n nop\n nop\n nop\n nop\n nop\n"
    " MAKE_CALL before mov $0x12345, %r9d\n ret\n .byte 0xcc\n"
    " MAKE_CALL both lea 8(%rsp), %r9\n mov %rax, %r9\n ret\n .byte 0xcc\n"
    " MAKE_CALL red mov %rsi, -16(%rsp)\n mov -16(%rsp), %rsi\n ret\n .byte 0xcc\n");

#define SHAPE(name)                         \
  long call_##name(long, long, long, long); \
  extern char at_##name[];
SHAPE(plain) SHAPE(behind) SHAPE(before) SHAPE(both) SHAPE(red) static const struct {
  const char *name;
  long (*call)(long, long, long, long);
  char *at;
} shapes[] = {{"plain", call_plain, at_plain},
              {"behind", call_behind, at_behind},
              {"before", call_before, at_before},
              {"both", call_both, at_both},
              {"red", call_red, at_red}};
#define SHAPES (sizeof shapes / sizeof *shapes)

static volatile int shape, times, blocks_others;
static volatile unsigned long change;
static char seen[4096];
static int pipe_of[2];
static volatile int *has_run; /* shared with helpers */
static uintptr_t stack_at_call;
static sigjmp_buf jump;
static char alternate[65536];

static void note(const char *text) { strncat(seen, text, sizeof seen - strlen(seen) - 1); }

static void describe(const ucontext_t *context) {
  const greg_t *const r = context->uc_mcontext.gregs;
  char text[400];
  const long from = (long)(r[REG_RIP] - (uintptr_t)shapes[shape].at);
  snprintf(text, sizeof text,
           " [rip %+ld rsp %ld rcx %s r11 %s rax %lld rdi %llx rdx %llx r10 %llx flags %llx stack %d link %d mask %lx]",
           from, (long)(r[REG_RSP] - stack_at_call),
           r[REG_RCX] == (greg_t)(uintptr_t)shapes[shape].at + 2 ? "after" : "other",
           r[REG_R11] == r[REG_EFL] ? "flags" : "other", r[REG_RAX], r[REG_RDI], r[REG_RDX], r[REG_R10],
           r[REG_EFL] & ~0x10000ull, context->uc_stack.ss_flags, context->uc_link != NULL,
           *(const unsigned long *)&context->uc_sigmask);
  note(text);
}

enum Change { kNothing, kRax, kSkip, kAgain, kOther, kSet, kSwap, kJump, kNested };
static const char *const changes[] = {"nothing", "rax", "skip", "again", "other", "set", "swap", "jump", "nested"};

long landed(void);
__asm__("landed: mov $4711, %rax\n ret\n");

static void handler(int number, siginfo_t *info, void *argument) {
  ucontext_t *const context = argument;
  greg_t *const r = context->uc_mcontext.gregs;
  char on[64];
  snprintf(on, sizeof on, " signal %d code %d alternate %d", number, info->si_code,
           (uintptr_t)on - (uintptr_t)alternate < sizeof alternate);
  note(on);
  describe(context);
  *has_run = 1;
  if (times++ != 0) return;
  switch (change) {
    case kRax:
      r[REG_RAX] = 4242;
      break;
    case kSkip:
      r[REG_RIP] = (uintptr_t)landed;
      break;
    /* The call once more, with other arguments: at the address of a syscall, where poison stands now. */
    case kAgain:
      r[REG_RIP] = (uintptr_t)shapes[shape].at, r[REG_RAX] = SYS_getpgid, r[REG_RDI] = 0;
      break;
    case kOther:
      r[REG_RIP] = (uintptr_t)shapes[(shape + 1) % SHAPES].at, r[REG_RAX] = SYS_getpgid, r[REG_RDI] = 0;
      break;
#ifdef __GLIBC__
    case kSet:
    case kSwap: {
      /* The kernel's context lacks what glibc's has behind it. */
      static ucontext_t there, here;
      memcpy(&there, context, offsetof(ucontext_t, __fpregs_mem));
      memcpy(&there.__fpregs_mem, context->uc_mcontext.fpregs, sizeof there.__fpregs_mem);
      there.uc_mcontext.fpregs = &there.__fpregs_mem;
      if (write(pipe_of[1], "x", 1) != 1) exit(2);
      change == kSet ? setcontext(&there) : swapcontext(&here, &there);
      break;
    }
#endif
    case kJump:
      siglongjmp(jump, 1);
    case kNested:
      /* musl's blocks all signals meanwhile, SIGTRAP too. */
      raise(SIGUSR2);
      break;
    default:
      break;
  }
}

static void nested(int number, siginfo_t *info, void *argument) {
  (void)info, (void)argument;
  const int old = shape;
  char text[64];
  /* A call of every shape, in a handler within a handler. */
  long sum = 0;
  for (size_t i = 0; i < SHAPES; i++) sum += shapes[i].call(SYS_getpgid, 0, 0, 0) == getpgid(0);
  shape = old;
  snprintf(text, sizeof text, " nested %d: %ld", number, sum);
  note(text);
}

static void handle(int number, void (*function)(int, siginfo_t *, void *), int flags) {
  struct sigaction action = {.sa_flags = flags | SA_SIGINFO};
  action.sa_sigaction = function;
  sigaddset(&action.sa_mask, SIGWINCH);
  if (sigaction(number, &action, NULL) != 0) exit(2);
}

/* Whether the parent waits in a call. */
static int is_parent_asleep(pid_t parent) {
  char name[64], line[256] = {0};
  snprintf(name, sizeof name, "/proc/%d/stat", parent);
  const int file = open(name, O_RDONLY);
  if (file < 0 || read(file, line, sizeof line - 1) <= 0) _exit(2);
  close(file);
  return strrchr(line, ')')[2] == 'S';
}

/* A child sends the signal once its parent waits, and where the call is made again, the byte that ends it once the
 * handler has run. By the plain call: libc blocks all signals in its own, which sites that are nothing but poison do
 * not survive. */
static pid_t helper(int restarts) {
  const struct timespec moment = {0, 200000};
  const pid_t parent = getpid(), child = (pid_t)syscall(SYS_fork);
  if (child != 0) return child;
  for (int asleep = 0; asleep < 3; asleep = is_parent_asleep(parent) ? asleep + 1 : 0) nanosleep(&moment, NULL);
  kill(parent, SIGALRM);
  while (restarts && !*has_run) nanosleep(&moment, NULL);
  _exit(!restarts || write(pipe_of[1], "y", 1) == 1 ? 0 : 2);
}

static long long_call(int i, int restarts) {
  char byte[2] = {'-', 0};
  *has_run = 0;
  shape = i;
  times = 0;
  seen[0] = 0;
  const pid_t child = helper(restarts);
  long answer = -1000;
  sigset_t others, before;
  sigfillset(&others);
  sigdelset(&others, SIGALRM);
  if (blocks_others) sigprocmask(SIG_SETMASK, &others, &before);
  if (sigsetjmp(jump, 1) == 0) {
    /* Where call pushes: the same for all shapes, since one place of this function calls. */
    __asm__ volatile("lea -8(%%rsp), %0" : "=r"(stack_at_call));
    answer = shapes[i].call(SYS_read, pipe_of[0], (long)byte, 1);
  }
  if (blocks_others) sigprocmask(SIG_SETMASK, &before, NULL);
  waitpid(child, NULL, 0);
  printf("  %s: %ld '%s'%s\n", shapes[i].name, answer == getpgid(0) ? 7777 : answer, byte, seen);
  /* Nothing is left in the pipe. */
  for (;;) {
    struct timeval none = {0, 0};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(pipe_of[0], &set);
    if (select(pipe_of[0] + 1, &set, NULL, NULL, &none) <= 0) break;
    if (read(pipe_of[0], byte, 1) != 1) exit(2);
  }
  return answer;
}

static void each(const char *title, enum Change what, int flags, int restarts) {
  printf("%s, handler changes %s\n", title, changes[what]);
  change = what;
  for (size_t i = 0; i < SHAPES; i++) {
    handle(SIGALRM, handler, flags);
    handle(SIGUSR2, nested, 0);
    long_call((int)i, restarts);
    struct sigaction old;
    sigaction(SIGALRM, NULL, &old);
    if (old.sa_handler == SIG_DFL) printf("  and is no handler any more, flags %#x\n", old.sa_flags);
    sigset_t mask;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    for (int n = 1; n <= 64; n++)
      if (sigismember(&mask, n) == 1) printf("  %d is blocked\n", n), sigprocmask(SIG_UNBLOCK, &mask, NULL);
    stack_t stack;
    sigaltstack(NULL, &stack);
    if (stack.ss_sp != NULL) printf("  alternate stack %zu %#x\n", stack.ss_size, stack.ss_flags);
  }
}

/* --- The program's own traps and faults, beside those of poison */
extern char behind_int3[], at_fault[], behind_fault[];
static volatile int traps;

static void own_trap(int number, siginfo_t *info, void *argument) {
  greg_t *const r = ((ucontext_t *)argument)->uc_mcontext.gregs;
  traps++;
  printf("  own signal %d, code %d, rip %s\n", number, info->si_code,
         r[REG_RIP] == (greg_t)(uintptr_t)behind_int3 ? "behind int3"
         : r[REG_RIP] == (greg_t)(uintptr_t)at_fault  ? "at fault"
                                                      : "elsewhere");
  if (r[REG_RIP] == (greg_t)(uintptr_t)at_fault) r[REG_RIP] = (greg_t)(uintptr_t)behind_fault;
}

static void own_traps(void) {
  /* With SA_NODEFER, since sites that are nothing but poison need SIGTRAP even for rt_sigreturn. */
  handle(SIGTRAP, own_trap, SA_NODEFER);
  handle(SIGSEGV, own_trap, SA_NODEFER);
  __asm__ volatile("int3\n behind_int3:" ::: "memory");
  __asm__ volatile("xor %%eax, %%eax\n at_fault: mov (%%rax), %%rax\n behind_fault:" ::: "rax", "memory");
  syscall(SYS_tkill, syscall(SYS_gettid), SIGTRAP);
  syscall(SYS_tkill, syscall(SYS_gettid), SIGSEGV);
  const int own = traps;
  /* Poison is met in all of these, and the handlers are not to know. */
  each("restarted, own traps", kAgain, SA_RESTART, 0);
#ifdef __GLIBC__
  each("restarted, own traps", kSet, SA_RESTART, 0);
#endif
  printf("%d own traps, %d afterwards\n", own, traps - own);
}

/* --- Many signals at once: each strikes the first instruction of the one before, and timers strike anywhere. */
extern char __executable_start[], etext[];
static volatile long handled, outside;

static void drop(int number, siginfo_t *info, void *argument) {
  const greg_t *const r = ((ucontext_t *)argument)->uc_mcontext.gregs;
  (void)info;
  if ((uintptr_t)r[REG_RIP] - (uintptr_t)__executable_start >= (uintptr_t)(etext - __executable_start)) outside++;
  if (number >= SIGRTMIN) handled++;
}

static int rain(int count) {
  sigset_t all, old;
  sigemptyset(&all);
  for (int i = 0; i < 24; i++) {
    sigaddset(&all, SIGRTMIN + i);
    handle(SIGRTMIN + i, drop, SA_NODEFER);
  }
  /* Blocked while it is handled, each: however slow the machine, no more than these lie above each other. */
  static const int often[] = {SIGALRM, SIGPROF, SIGUSR1, SIGUSR2, SIGIO, SIGURG};
  timer_t timers[6];
  for (int i = 0; i < 6; i++) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = often[i]};
    const long period = 50000 + 7000 * i;
    const struct itimerspec each = {{0, period}, {0, period}};
    handle(often[i], drop, 0);
    if (timer_create(CLOCK_MONOTONIC, &event, &timers[i]) != 0 || timer_settime(timers[i], 0, &each, NULL) != 0)
      return 1;
  }
  const pid_t self = getpid();
  for (int i = 0; i < count; i++) {
    sigprocmask(SIG_BLOCK, &all, &old);
    for (int j = 0; j < 24; j++) kill(self, SIGRTMIN + j);
    sigprocmask(SIG_SETMASK, &old, NULL);
  }
  for (int i = 0; i < 6; i++) timer_delete(timers[i]);
  printf("%ld of %ld handled, %ld saw what is not the program\n", handled, 24l * count, outside);
  return 0;
}

int main(int argc, char **argv) {
  if (argc > 1) return rain(atoi(argv[1]));
  setvbuf(stdout, NULL, _IOLBF, 8192);
  has_run = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (pipe(pipe_of) != 0 || has_run == MAP_FAILED) return 2;
  for (enum Change what = kNothing; what <= kNested; what++) {
    if (what == kSet || what == kSwap) continue;
    each("interrupted", what, 0, 0);
  }
  for (enum Change what = kNothing; what <= kNested; what++) {
    /* rax and the like matter where the call goes on; a byte comes for those that are made again. */
    if (what == kRax) continue;
#ifndef __GLIBC__
    if (what == kSet || what == kSwap) continue;
#endif
    const int comes = what == kNothing || what == kNested;
    each("restarted", what, SA_RESTART, comes);
  }
  /* The way back to a call leads to it by no trap, which would kill here. */
  blocks_others = 1;
  each("restarted, all others blocked", kNothing, SA_RESTART, 1);
  blocks_others = 0;
  own_traps();
  each("SA_NODEFER", kNested, SA_NODEFER, 0);
  each("SA_RESETHAND", kNothing, SA_RESETHAND, 0);
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  sigaltstack(&stack, NULL);
  each("SA_ONSTACK", kNested, SA_ONSTACK, 0);
  each("SA_ONSTACK", kJump, SA_ONSTACK, 0);
  each("SA_ONSTACK, restarted", kNothing, SA_ONSTACK | SA_RESTART, 1);
  stack.ss_flags = 1u << 31; /* SS_AUTODISARM */
  sigaltstack(&stack, NULL);
  each("SS_AUTODISARM", kNothing, SA_ONSTACK, 0);
  each("SS_AUTODISARM, restarted", kNested, SA_ONSTACK | SA_RESTART, 1);
  return 0;
}
