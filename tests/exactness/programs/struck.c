/* Signals that strike where alignment is checked (EFLAGS.AC) and rsp is odd: at calls that they interrupt, at calls that
 * raise them, at int3, at a load that is refused for its alignment, and in handlers that have AC set again. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* Each with AC set and rsp `low` bytes lower than it should be; checked_after is what AC is then. */
long checked_call(long number, long a, long b, long c, long low);
long checked_int3(long low);
long checked_load(long low);
extern long checked_after;
extern const char refused[], behind_refused[];
#define CHECKED(low) " push %rbx\n mov %rsp, %rbx\n sub " low ", %rsp\n pushfq\n orl $0x40000, (%rsp)\n popfq\n"
#define PLAIN                                                                                                       \
  " mov %rbx, %rsp\n pushfq\n pop %rcx\n and $0x40000, %ecx\n mov %rcx, checked_after(%rip)\n"                      \
  " pushfq\n andl $~0x40000, (%rsp)\n popfq\n pop %rbx\n ret\n"
__asm__(
    ".data\n checked_after: .quad 0\n .balign 64\n words: .quad 5, 5\n .text\n"
    ".globl checked_call, checked_int3, checked_load, refused, behind_refused\n"
    "checked_call:\n mov %rdi, %rax\n mov %rsi, %rdi\n mov %rdx, %rsi\n mov %rcx, %rdx\n xor %r10d, %r10d\n"
    CHECKED("%r8") " syscall\n" PLAIN
    "checked_int3:\n" CHECKED("%rdi") " int3\n" PLAIN
    "checked_load:\n" CHECKED("%rdi") " xor %eax, %eax\nrefused: mov words+1(%rip), %eax\nbehind_refused:\n" PLAIN);

static volatile int runs[65];
static volatile long flags_seen, low_seen, code_seen, inner;
static volatile int nests;

static void handle(int number, siginfo_t *info, void *argument) {
  long flags;
  __asm__ volatile("pushfq\n pop %0\n pushfq\n andl $~0x40000, (%%rsp)\n popfq" : "=r"(flags)::"memory");
  ucontext_t *const context = argument;
  runs[number]++;
  /* A tick may strike before or behind the calls that others have struck. */
  if (number == SIGALRM && flags_seen == 0x40000 && (flags & 0x40000) == 0) return;
  flags_seen = flags & 0x40000;
  low_seen = context->uc_mcontext.gregs[REG_RSP] & 7;
  code_seen = info->si_code;
  if (context->uc_mcontext.gregs[REG_RIP] == (long)refused) context->uc_mcontext.gregs[REG_RIP] = (long)behind_refused;
  if (nests) {
    nests = 0;
    inner = checked_call(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR2, 3);
  }
}

static void tell(const char *what, long low, int number, long result) {
  printf("%s, %ld low: %ld, AC %lx; handled %d, AC %lx, %ld low, code %ld\n", what, low, result, checked_after,
         runs[number], flags_seen, low_seen, code_seen);
  fflush(stdout);
  runs[number] = 0;
  flags_seen = low_seen = code_seen = -1;
}

static void set(int number, int flags) {
  struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | flags};
  sigfillset(&action.sa_mask);
  sigdelset(&action.sa_mask, SIGUSR2);
  sigaction(number, &action, NULL);
}

static void tick(long microseconds) {
  const struct itimerval timer = {{0, microseconds}, {0, microseconds}};
  setitimer(ITIMER_REAL, &timer, NULL);
}

static void strike(long low) {
  const long pid = getpid(), tid = syscall(SYS_gettid);
  tell("raised", low, SIGUSR1, checked_call(SYS_tgkill, pid, tid, SIGUSR1, low));
  nests = 1;
  tell("raised twice", low, SIGUSR1, checked_call(SYS_tgkill, pid, tid, SIGUSR1, low));
  tell("in its handler", low, SIGUSR2, inner);
  tell("int3", low, SIGTRAP, checked_int3(low));
  tell("refused", low, SIGBUS, checked_load(low));
  /* However many come meanwhile. */
  const struct timespec length = {600, 0};
  tick(1000);
  const long paused = checked_call(SYS_pause, 0, 0, 0, low), slept = checked_call(SYS_nanosleep, (long)&length, 0, 0, low);
  tick(0);
  runs[SIGALRM] = runs[SIGALRM] > 1 ? 2 : 1;
  printf("slept %ld\n", slept);
  tell("interrupted", low, SIGALRM, paused);
}

/* What is made again. */
static void restart(long low) {
  int pipe_of[2];
  char byte = 0;
  if (pipe(pipe_of) != 0) return;
  const pid_t child = fork();
  if (child == 0) {
    usleep(20000);
    _exit(write(pipe_of[1], "x", 1) != 1);
  }
  tick(500);
  const long got = checked_call(SYS_read, pipe_of[0], (long)&byte, 1, low);
  tick(0);
  printf("read anew, %ld low: %ld %c, AC %lx\n", low, got, byte, checked_after);
  runs[SIGALRM] = 0;
  while (waitpid(child, NULL, 0) != child) {
  }
  close(pipe_of[0]);
  close(pipe_of[1]);
}

/* Wherever the ticks strike on the way of many calls. */
static void often(long low) {
  long bad = 0;
  const long parent = getppid();
  char path[64];
  tick(100);
  while (runs[SIGALRM] < 300) {
    bad += checked_call(SYS_getppid, 0, 0, 0, low) != parent;
    /* sysload may serve it, on the program's stack, which then has to be one. */
    if (low == 0) bad += checked_call(SYS_readlink, (long)"/proc/self/exe", (long)path, 64, 0) <= 0;
    bad += checked_call(SYS_rt_sigprocmask, SIG_BLOCK, 0, 0, low) != -EINVAL;
  }
  tick(0);
  runs[SIGALRM] = 0;
  printf("often, %ld low: %ld bad\n", low, bad);
}

int main(void) {
  const int numbers[] = {SIGUSR1, SIGUSR2, SIGTRAP, SIGBUS, SIGALRM};
  for (int flags = 0; flags < 2; flags++) {
    static char stack[65536];
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    if (flags == 1) sigaltstack(&alternate, NULL);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) set(numbers[i], flags == 1 ? SA_ONSTACK : 0);
    for (long low = 0; low < 8; low += 3) strike(low);
    set(SIGALRM, SA_RESTART | (flags == 1 ? SA_ONSTACK : 0));
    for (long low = 0; low < 4; low += 3) restart(low), often(low);
  }
  return 0;
}
