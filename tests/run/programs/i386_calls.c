/* Calls of the i386 table by `int $0x80`, of a 64-bit program: what they give, that they keep all registers but eax, and
 * what a handler sees that interrupts one before, in and behind it. Depends on nothing but the kernel. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum { kRead = 3, kWrite = 4, kGetpid = 20, kGettid = 224 };

struct registers {
  uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15, flags;
};

extern const char call_begin[], call_behind[];
void make(struct registers *with);

/* rdi = the registers, before and afterwards. */
asm(".globl make, call_begin, call_behind\n"
    "make: push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; push %rdi\n"
    "mov 8(%rdi), %rbx; mov 16(%rdi), %rcx; mov 24(%rdi), %rdx; mov 32(%rdi), %rsi; mov 48(%rdi), %rbp\n"
    "mov 56(%rdi), %r8; mov 64(%rdi), %r9; mov 72(%rdi), %r10; mov 80(%rdi), %r11; mov 88(%rdi), %r12\n"
    "mov 96(%rdi), %r13; mov 104(%rdi), %r14; mov 112(%rdi), %r15; mov (%rdi), %rax\n"
    "movq %rbp, -8(%rsp); push 120(%rdi); popfq; mov 40(%rdi), %rdi\n"
    "call_begin: int $0x80\n"
    "call_behind: xchg %rdi, (%rsp)\n"
    "mov %rax, (%rdi); pushfq; popq 120(%rdi); cld; mov %rbx, 8(%rdi); mov %rcx, 16(%rdi); mov %rdx, 24(%rdi)\n"
    "mov %rsi, 32(%rdi); mov %rbp, 48(%rdi); mov %r8, 56(%rdi); mov %r9, 64(%rdi); mov %r10, 72(%rdi)\n"
    "mov %r11, 80(%rdi); mov %r12, 88(%rdi); mov %r13, 96(%rdi); mov %r14, 104(%rdi); mov %r15, 112(%rdi)\n"
    "pop %rax; mov %rax, 40(%rdi); pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx; ret\n");

static long call(uint64_t number, uint64_t a, uint64_t b, uint64_t c) {
  struct registers with = {number, a, b, c, 0x1111, 0x2222, 0x3333, 8, 9, 10, 11, 12, 13, 14, 15, 0xad7}, before = with;
  make(&with);
  before.rax = with.rax;
  if (memcmp(&with, &before, sizeof with) != 0) printf("call %d changes registers\n", (int)number);
  return (int32_t)with.rax;
}

static volatile long handled, elsewhere;
static volatile int shows;

static void on_signal(int signal, siginfo_t *info, void *context) {
  (void)info;
  const uint64_t rip = (uint64_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
  const long pid = getpid();
  handled++;
  if (call(kGetpid, 0, 0, 0) != pid) elsewhere++;
  if (shows) {
    const long answer = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX];
    printf("signal %d %s, eax %d\n", signal, rip == (uint64_t)call_begin    ? "at the call"
                                            : rip == (uint64_t)call_behind ? "behind it"
                                                                           : "elsewhere",
           (int)answer);
    shows = 0;
  }
}

static void handle(int signal, int flags) {
  struct sigaction action = {.sa_flags = SA_SIGINFO | flags};
  action.sa_sigaction = on_signal;
  sigaction(signal, &action, NULL);
}

/* A read that a signal interrupts; it goes on where that is asked for, until another thread has written. */
static char *low;
static int ends[2];

static void *write_later(void *to) {
  usleep(100000);
  pthread_kill(*(pthread_t *)to, SIGUSR1);
  usleep(100000);
  return write(ends[1], "x", 1), NULL;
}

static void interrupted(int flags) {
  pthread_t writer, own = pthread_self();
  handle(SIGUSR1, flags);
  shows = 1;
  pthread_create(&writer, NULL, write_later, &own);
  printf("read: %ld\n", call(kRead, (uint64_t)ends[0], (uint64_t)low, 1));
  pthread_join(writer, NULL);
  if (flags == 0) printf("read again: %ld\n", call(kRead, (uint64_t)ends[0], (uint64_t)low, 1));
}

static void *many(void *wrong) {
  for (int i = 0; i < 20000; i++) *(volatile long *)wrong += call(kGettid, 0, 0, 0) != gettid();
  return NULL;
}

static void among_signals(void) {
  const struct itimerval often = {{0, 100}, {0, 100}}, never = {0};
  pthread_t thread[3];
  long wrong[3] = {0};
  handle(SIGALRM, SA_RESTART);
  handled = elsewhere = 0;
  setitimer(ITIMER_REAL, &often, NULL);
  for (int i = 0; i < 3; i++) pthread_create(&thread[i], NULL, many, &wrong[i]);
  for (int i = 0; i < 3; i++) pthread_join(thread[i], NULL);
  setitimer(ITIMER_REAL, &never, NULL);
  printf("among signals: %ld %ld %ld, %ld wrong in handlers, %d\n", wrong[0], wrong[1], wrong[2], elsewhere, handled > 10);
}

int main(void) {
  setvbuf(stdout, NULL, _IONBF, 0);
  low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  memcpy(low, "hello\n", 6);
  printf("getpid: %d\n", call(kGetpid, 0, 0, 0) == getpid());
  printf("write: %ld\n", call(kWrite, 1, (uint64_t)low, 6));
  printf("no such call: %ld\n", call(1000, 0, 0, 0));
  printf("write nowhere: %ld\n", call(kWrite, 77, (uint64_t)low, 6));
  pipe(ends);
  interrupted(SA_RESTART);
  interrupted(0);
  among_signals();
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) _exit(call(kGetpid, 0, 0, 0) == getpid() ? 5 : 6);
  int status = 0;
  waitpid(child, &status, 0);
  printf("a child: %x\n", status);
  return 0;
}
