/* Threads and processes that are made by code which nobody has rewritten, and then make calls that are.
 *
 *   foreign MAKER threads COUNT ROUNDS   many at a time, which call, and leave by exit
 *   foreign MAKER churn COUNT            one after the other: nothing is left of them
 *   foreign MAKER signals COUNT ROUNDS   handlers strike in such threads
 *   foreign MAKER children COUNT         children with memory of their own, and of their parent's
 *   foreign MAKER stacks COUNT ROUNDS    alternate stacks that native code asks for, and sets
 *   foreign MAKER handlers COUNT ROUNDS  handlers that native code has set make calls, in the midst of others, and leave
 *                                        by siglongjmp
 *
 * MAKER is libc (pthread_create, fork and vfork of a C library that is native, or whose clone is), native (a clone of
 * this program's, which was left out: native_clone, native_exit), or made (the same in code made at run time). What
 * the threads of the last two do is free of libc: there is no thread pointer of their own. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long call(long number, long a, long b, long c, long d) {
  long result;
  register long r10 __asm__("r10") = d;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                   : "rcx", "r11", "memory");
  return result;
}

/* clone: flags, stack, the words of parent and child, and what the child does with its stack's last word. */
typedef long Clone(long flags, void *stack, volatile int *parent, volatile int *child, long tls, void (*run)(void *));
Clone native_clone;
void native_exit(int status);
/* sigaltstack and rt_sigaction */
long native_stack(const stack_t *new, stack_t *old);
long native_action(long number, const void *new, void *old, long size);
void native_restorer(void);
extern const char made_clone[], made_clone_end[];
#define CLONES                                             \
  " mov %rcx, %r10\n mov $56, %eax\n syscall\n"            \
  " test %rax, %rax\n jnz 1f\n"                            \
  " xor %ebp, %ebp\n mov (%rsp), %rdi\n call *%r9\n hlt\n" \
  "1: ret\n"
__asm__(
    ".text\n .globl native_clone, native_exit\n"
    ".type native_clone, @function\n native_clone:\n" CLONES
    ".size native_clone, . - native_clone\n"
    ".type native_exit, @function\n native_exit:\n mov $60, %eax\n syscall\n hlt\n"
    ".size native_exit, . - native_exit\n"
    ".globl native_stack, native_action, native_restorer\n"
    ".type native_stack, @function\n native_stack:\n mov $131, %eax\n syscall\n ret\n"
    ".size native_stack, . - native_stack\n"
    ".type native_action, @function\n native_action:\n mov %rcx, %r10\n mov $13, %eax\n syscall\n ret\n"
    ".size native_action, . - native_action\n"
    ".type native_restorer, @function\n native_restorer:\n mov $15, %eax\n syscall\n"
    ".size native_restorer, . - native_restorer\n"
    ".section .rodata\n made_clone:\n" CLONES "made_clone_end:\n .text\n");

static Clone *clone_of(const char *maker) {
  if (strcmp(maker, "made") != 0) return native_clone;
  void *const code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(code, made_clone, (size_t)(made_clone_end - made_clone));
  if (mprotect(code, 4096, PROT_READ | PROT_EXEC) != 0) exit(2);
  return (Clone *)code;
}

static Clone *maker;
static int uses_libc, rounds;
static volatile int done, right, handled;

enum { STACK = 65536 };
struct thread {
  pthread_t thread;
  char *stack;
  volatile int tid; /* cleared by the kernel when the thread is gone */
  int leaves_natively;
};

/* Calls whose answers are known, each with its own. */
static int answers_are_right(void) {
  const long pid = call(SYS_getpid, 0, 0, 0, 0), tid = call(SYS_gettid, 0, 0, 0, 0);
  const long parent = call(SYS_getppid, 0, 0, 0, 0);
  int good = 1;
  for (int i = 0; i < rounds; i++) {
    good &= call(SYS_getppid, 0, 0, 0, 0) == parent;
    good &= call(SYS_gettid, 0, 0, 0, 0) == tid;
    good &= call(SYS_getpid, 0, 0, 0, 0) == pid;
    good &= call(SYS_close, -1, 0, 0, 0) == -9;
    if (i % 64 == 0) good &= call(SYS_sched_yield, 0, 0, 0, 0) == 0;
  }
  return good;
}

static void calls(void *argument) {
  const struct thread *thread = argument;
  const int good = answers_are_right();
  __atomic_add_fetch(&right, good, __ATOMIC_SEQ_CST);
  __atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
  if (uses_libc) return;
  if (thread->leaves_natively) native_exit(0);
  call(SYS_exit, 0, 0, 0, 0);
}

static void *calls_in_pthread(void *argument) {
  calls(argument);
  return NULL;
}

static void (*does)(void *) = calls;
static void *(*does_in_pthread)(void *) = calls_in_pthread;

static void begin(struct thread *thread) {
  if (uses_libc) {
    while (pthread_create(&thread->thread, NULL, does_in_pthread, thread) != 0) usleep(1000);
    return;
  }
  if (thread->stack == NULL)
    thread->stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  void **const top = (void **)(thread->stack + STACK - 64);
  *top = thread;
  thread->tid = -1;
  const long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                     CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
  if (maker(flags, top, NULL, &thread->tid, 0, does) < 0) exit(3);
}

static void join(struct thread *thread) {
  if (uses_libc) {
    pthread_join(thread->thread, NULL);
    return;
  }
  while (thread->tid != 0) usleep(50);
}

/* --- Ways */
static void threads(int count) {
  struct thread *const all = calloc((size_t)count, sizeof *all);
  for (int i = 0; i < count; i++) {
    all[i].leaves_natively = i & 1;
    begin(&all[i]);
  }
  const int good = answers_are_right();
  for (int i = 0; i < count; i++) join(&all[i]);
  printf("%d of %d threads, main thread %d\n", right, count, good);
}

static long kilobytes(const char *name) {
  char line[256];
  long found = 0;
  FILE *const file = fopen("/proc/self/status", "r");
  while (fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, name, strlen(name)) == 0) found = atol(line + strlen(name) + 1);
  fclose(file);
  return found;
}

static void churn(int count) {
  struct thread one[8] = {{0}};
  long before = 0;
  for (int i = 0; i < count; i++) {
    if (i == count / 2) before = kilobytes("VmSize");
    struct thread *const thread = &one[i % 8];
    if (i >= 8) join(thread);
    thread->leaves_natively = 1;
    begin(thread);
  }
  for (int i = 0; i < 8; i++) join(&one[i]);
  printf("%d of %d threads, memory %s\n", right, count, kilobytes("VmSize") < before + 16384 ? "given back" : "left");
}

static void restorer(void);
__asm__(".text\nrestorer: mov $15, %eax\n syscall\n");
struct raw_action {
  uintptr_t handler;
  uint64_t flags;
  uintptr_t restorer;
  uint64_t mask;
};

static void on_signal(int number) {
  const long parent = call(SYS_getppid, 0, 0, 0, 0);
  if (number == SIGUSR1 && call(SYS_getppid, 0, 0, 0, 0) == parent) __atomic_add_fetch(&handled, 1, __ATOMIC_SEQ_CST);
}

/* Each meets the others, then sends itself signals, while others send it theirs. */
static void is_struck(void *argument) {
  const long pid = call(SYS_getpid, 0, 0, 0, 0), tid = call(SYS_gettid, 0, 0, 0, 0);
  for (int i = 0; i < rounds; i++) {
    call(SYS_tgkill, pid, tid, SIGUSR1, 0);
    call(SYS_tgkill, pid, pid, SIGUSR1, 0);
    call(SYS_getppid, 0, 0, 0, 0);
  }
  calls(argument);
}

static void *is_struck_in_pthread(void *argument) {
  is_struck(argument);
  return NULL;
}

static void signals(int count) {
  const struct raw_action action = {(uintptr_t)on_signal, 0x04000000, (uintptr_t)restorer, 0};
  call(SYS_rt_sigaction, SIGUSR1, (long)&action, 0, 8);
  does = is_struck, does_in_pthread = is_struck_in_pthread;
  struct thread *const all = calloc((size_t)count, sizeof *all);
  for (int i = 0; i < count; i++) begin(&all[i]);
  while (done < count) answers_are_right();
  for (int i = 0; i < count; i++) join(&all[i]);
  /* Those to itself are all there; of the others some were one. */
  printf("%d of %d threads, handlers %s\n", right, count, handled >= count * rounds ? "ran" : "did not run");
}

/* As the Go runtime does it beside a C library: it asks for the stack that a thread has, and gives it one if there is
 * none. What it has said stays, whatever else handles signals. */
enum { ALTERNATE = 40960 };

static void on_alternate(int number, siginfo_t *info, void *context) {
  const stack_t *const stack = &((ucontext_t *)context)->uc_stack;
  const int is_there = (uintptr_t)&stack - (uintptr_t)stack->ss_sp < ALTERNATE && stack->ss_size == ALTERNATE;
  /* SIGUSR2's is started by the kernel, in the midst of another call perhaps. */
  if (number == SIGUSR1) call(SYS_getppid, 0, 0, 0, 0);
  __atomic_add_fetch(&handled, is_there, __ATOMIC_SEQ_CST);
}

static void on_own_stack(int number, siginfo_t *info, void *context) {
  const stack_t *const stack = &((ucontext_t *)context)->uc_stack;
  __atomic_add_fetch(&handled, stack->ss_size == ALTERNATE, __ATOMIC_SEQ_CST);
}

static int is_alternate(const void *low) {
  stack_t now = {NULL, -1, 1};
  return native_stack(NULL, &now) == 0 && now.ss_sp == low && now.ss_size == (low != NULL ? ALTERNATE : 0) &&
         now.ss_flags == (low != NULL ? 0 : SS_DISABLE);
}

static void has_stack(void *argument) {
  const long pid = call(SYS_getpid, 0, 0, 0, 0), tid = call(SYS_gettid, 0, 0, 0, 0);
  void *const low = mmap(NULL, ALTERNATE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const stack_t own = {low, 0, ALTERNATE}, none = {NULL, SS_DISABLE, 0};
  int good = is_alternate(NULL);
  native_stack(&own, NULL);
  for (int i = 0; i < rounds; i++) {
    for (int signal = SIGUSR1; signal <= SIGUSR2; signal += SIGUSR2 - SIGUSR1) {
      call(SYS_tgkill, pid, tid, signal, 0);
      call(SYS_getppid, 0, 0, 0, 0);
      good &= is_alternate(low);
    }
    call(SYS_tgkill, pid, tid, SIGHUP, 0);
    good &= is_alternate(low);
  }
  native_stack(&none, NULL);
  good &= is_alternate(NULL);
  __atomic_sub_fetch(&right, !good, __ATOMIC_SEQ_CST);
  if (argument != NULL) calls(argument);
}

static void *has_stack_in_pthread(void *argument) {
  has_stack(argument);
  return NULL;
}

static void stacks(int count) {
  const uint64_t flags = SA_SIGINFO | 0x04000000;
  const struct raw_action alternate = {(uintptr_t)on_alternate, flags | SA_ONSTACK, (uintptr_t)restorer, 0};
  const struct raw_action native = {(uintptr_t)on_alternate, flags | SA_ONSTACK, (uintptr_t)native_restorer, 0};
  const struct raw_action own = {(uintptr_t)on_own_stack, flags, (uintptr_t)restorer, 0};
  call(SYS_rt_sigaction, SIGUSR1, (long)&alternate, 0, 8);
  native_action(SIGUSR2, &native, NULL, 8);
  call(SYS_rt_sigaction, SIGHUP, (long)&own, 0, 8);
  has_stack(NULL);
  does = has_stack, does_in_pthread = has_stack_in_pthread;
  struct thread *const all = calloc((size_t)count, sizeof *all);
  for (int i = 0; i < count; i++) begin(&all[i]);
  for (int i = 0; i < count; i++) join(&all[i]);
  printf("%d of %d threads, %d handlers of %d\n", right, count, handled, 3 * rounds * (count + 1));
}

/* Sent by the kernel at any instruction, also while a call is under way of whose end somebody is to be told. */
static long parent_of_all;
static volatile int calls_made, wrong, leaves;
static sigjmp_buf before_wait;

/* A call that leaves every register but those of the kernel's as it was, and the flags. */
static int keeps_registers(void) {
  enum { FIRST = 0x51ab0 };
  long number = SYS_getppid;
  unsigned char carries = 0;
  register long rdi __asm__("rdi") = FIRST, rsi __asm__("rsi") = FIRST + 1, rdx __asm__("rdx") = FIRST + 2;
  register long r10 __asm__("r10") = FIRST + 3, r8 __asm__("r8") = FIRST + 4, r9 __asm__("r9") = FIRST + 5;
  __asm__ volatile("stc\n syscall\n setc %1"
                   : "+a"(number), "=q"(carries), "+r"(rdi), "+r"(rsi), "+r"(rdx), "+r"(r10), "+r"(r8), "+r"(r9)
                   :
                   : "rcx", "r11", "cc", "memory");
  __atomic_add_fetch(&calls_made, 1, __ATOMIC_SEQ_CST);
  return number == parent_of_all && carries && rdi == FIRST && rsi == FIRST + 1 && rdx == FIRST + 2 &&
         r10 == FIRST + 3 && r8 == FIRST + 4 && r9 == FIRST + 5;
}

static int calls_are_exact(void) {
  return keeps_registers() && call(SYS_close, -1, 0, 0, 0) == -9 && keeps_registers();
}

static void on_native(int number) {
  if (!calls_are_exact()) wrong++;
  /* One more, in the midst of this one's calls. */
  if (number == SIGUSR2) call(SYS_tgkill, call(SYS_getpid, 0, 0, 0, 0), call(SYS_gettid, 0, 0, 0, 0), SIGHUP, 0);
  if (!calls_are_exact()) wrong++;
  __atomic_add_fetch(&handled, 1, __ATOMIC_SEQ_CST);
}

static void on_alarm(int number) {
  if (!calls_are_exact()) wrong++;
  if (leaves) siglongjmp(before_wait, 1);
}

static void is_interrupted(void *argument) {
  const long pid = call(SYS_getpid, 0, 0, 0, 0), tid = call(SYS_gettid, 0, 0, 0, 0);
  const struct timespec moment = {0, 20000};
  for (int i = 0; i < rounds; i++) {
    call(SYS_tgkill, pid, tid, SIGUSR2, 0);
    if (!calls_are_exact()) wrong++;
    const long slept = call(SYS_nanosleep, (long)&moment, 0, 0, 0);
    if (slept != 0 && slept != -4) wrong++;
  }
  calls(argument);
}

static void *is_interrupted_in_pthread(void *argument) {
  is_interrupted(argument);
  return NULL;
}

static void waits_and_leaves(volatile int *left) {
  const struct timespec long_time = {100, 0};
  const struct {
    struct timeval again, first;
  } soon = {{0, 0}, {0, 200}};
  leaves = 1;
  if (sigsetjmp(before_wait, 1) == 0) {
    call(SYS_setitimer, 0, (long)&soon, 0, 0);
    for (;;) call(SYS_nanosleep, (long)&long_time, 0, 0, 0);
  }
  leaves = 0;
  if (!calls_are_exact()) wrong++;
  ++*left;
}

static void handlers(int count) {
  const struct raw_action action = {(uintptr_t)on_native, 0x04000000, (uintptr_t)native_restorer, 0};
  const struct raw_action alarm = {(uintptr_t)on_alarm, 0x04000000, (uintptr_t)native_restorer, 0};
  native_action(SIGUSR2, &action, NULL, 8);
  native_action(SIGHUP, &action, NULL, 8);
  native_action(SIGALRM, &alarm, NULL, 8);
  parent_of_all = call(SYS_getppid, 0, 0, 0, 0);
  const long pid = call(SYS_getpid, 0, 0, 0, 0);
  does = is_interrupted, does_in_pthread = is_interrupted_in_pthread;
  struct thread *const all = calloc((size_t)count, sizeof *all);
  for (int i = 0; i < count; i++) begin(&all[i]);
  volatile int left = 0;
  while (done < count) call(SYS_kill, pid, SIGUSR2, 0, 0);
  for (int i = 0; i < count; i++) join(&all[i]);
  for (int i = 0; i < rounds; i++) waits_and_leaves(&left);
  printf("%d of %d threads, %d wrong, left %d of %d, handlers %s\n", right, count, wrong, left, rounds,
         handled >= 2 * count * rounds ? "ran" : "did not run");
  if (getenv("SAYS_CALLS") != NULL) fprintf(stderr, "made %d\n", calls_made);
}

static void child_of_fork(void *unused) {
  const int good = answers_are_right() && call(SYS_getppid, 0, 0, 0, 0) != 1;
  call(SYS_exit_group, good ? 21 : 1, 0, 0, 0);
}

static void child_with_memory(void *unused) {
  const struct raw_action none = {0, 0, 0, 0};
  call(SYS_rt_sigaction, SIGUSR1, (long)&none, 0, 8);
  right += answers_are_right();
  call(SYS_exit, 21, 0, 0, 0);
}

static char *executed;
static void child_executes(void *unused) {
  char *const arguments[] = {executed, NULL}, *const environment[] = {NULL};
  right += answers_are_right();
  call(SYS_execve, (long)executed, (long)arguments, (long)environment, 0);
  call(SYS_exit, 1, 0, 0, 0);
}

static int status_of(long child) {
  int status = 0;
  if (call(SYS_wait4, child, (long)&status, 0x40000000, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
}

static void children(int count) {
  const struct raw_action action = {(uintptr_t)on_signal, 0x04000000, (uintptr_t)restorer, 0};
  struct raw_action after = {0, 0, 0, 0};
  char *const stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  void **const top = (void **)(stack + STACK - 64);
  int forks = 0, vforks = 0, copies = 0, execs = 0;
  call(SYS_rt_sigaction, SIGUSR1, (long)&action, 0, 8);
  for (int i = 0; i < count; i++) {
    long child = uses_libc ? fork() : maker(SIGCHLD, NULL, NULL, NULL, 0, child_of_fork);
    if (child == 0) child_of_fork(NULL);
    forks += status_of(child) == 21;
    *top = NULL;
    child = maker(CLONE_VM | CLONE_VFORK | SIGCHLD, top, NULL, NULL, 0, child_with_memory);
    vforks += status_of(child) == 21;
    child = maker(CLONE_VM | SIGCHLD, top, NULL, NULL, 0, child_with_memory);
    answers_are_right();
    copies += status_of(child) == 21;
    child = maker(CLONE_VM | CLONE_VFORK | SIGCHLD, top, NULL, NULL, 0, child_executes);
    execs += status_of(child) == 0;
    call(SYS_tgkill, getpid(), call(SYS_gettid, 0, 0, 0, 0), SIGUSR1, 0);
  }
  call(SYS_rt_sigaction, SIGUSR1, 0, (long)&after, 8);
  printf("of %d: %d %d %d %d, answers %d, handled %d, handler %d\n", count, forks, vforks, copies, execs, right, handled,
         after.handler == action.handler);
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  const int count = atoi(argv[3]);
  rounds = argc > 4 ? atoi(argv[4]) : 10;
  uses_libc = strcmp(argv[1], "libc") == 0;
  maker = clone_of(argv[1]);
  executed = "/bin/true";
  if (strcmp(argv[2], "threads") == 0) threads(count);
  if (strcmp(argv[2], "churn") == 0) churn(count);
  if (strcmp(argv[2], "signals") == 0) signals(count);
  if (strcmp(argv[2], "children") == 0) children(count);
  if (strcmp(argv[2], "stacks") == 0) stacks(count);
  if (strcmp(argv[2], "handlers") == 0) handlers(count);
  /* By a call that hooks see, so that they show what they have. */
  fflush(stdout);
  call(SYS_exit_group, 0, 0, 0, 0);
}
