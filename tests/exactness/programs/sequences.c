/* Restartable sequences (rseq) that a program registers for itself: the kernel lets a thread have one area, and begins a
 * sequence anew where its thread is interrupted. Calls, signals and threads on all sides of it; the sums must be right.
 *
 * The sequence ends in front of the call, and, in every second round, begins right behind one. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, TIMES = 20000, PROCESSORS = 4096, SIGNATURE = 0x53053053 };

/* Source: linux/rseq.h. */
struct area {
  uint32_t cpu_id_start, cpu_id;
  uint64_t sequence;
  uint32_t flags, node_id, mm_cid, padding;
} __attribute__((aligned(32)));

static long counts[PROCESSORS];
static __thread struct area area;
static volatile int ticks;

static long own_rseq(struct area *where, int flags) {
  return syscall(SYS_rseq, where, 32, flags, SIGNATURE) == 0 ? 0 : errno;
}

/* One more on the processor that this runs on; then, and before in every second round, a call. */
__attribute__((noipa)) static long count(struct area *own, long calls_before) {
  long result;
  __asm__ volatile(
      ".pushsection __rseq_cs, \"aw\"\n .balign 32\n 3: .long 0, 0\n .quad 1f, 2f-1f, 4f\n .popsection\n"
      "5: lea 3b(%%rip), %%rax\n mov %%rax, 8(%1)\n test %3, %3\n jz 1f\n mov $110, %%eax\n syscall\n"
      " lea 3b(%%rip), %%rax\n mov %%rax, 8(%1)\n"
      "1: mov 4(%1), %%ecx\n mov (%2,%%rcx,8), %%rdx\n inc %%rdx\n"
      " mov %%rdx, (%2,%%rcx,8)\n"
      "2: mov $110, %%eax\n syscall\n"
      ".pushsection __rseq_failure, \"ax\"\n .byte 0x0f, 0xb9, 0x3d\n .long 0x53053053\n"
      "4: jmp 5b\n .popsection"
      : "=&a"(result) : "r"(own), "r"(counts), "r"(calls_before) : "rcx", "rdx", "r11", "memory");
  return result;
}

static long bad;

static void handle(int number) {
  ticks += number == SIGALRM;
  /* A sequence of its own, inside of what was struck. */
  if (count(&area, 0) <= 0) __atomic_add_fetch(&bad, 1, __ATOMIC_RELAXED);
}

static void *work(void *first) {
  if (first == NULL && own_rseq(&area, 0) != 0) __atomic_add_fetch(&bad, 1, __ATOMIC_RELAXED);
  const long parent = getppid();
  for (long i = 0; i < TIMES; i++)
    if (count(&area, i % 2) != parent) __atomic_add_fetch(&bad, 1, __ATOMIC_RELAXED);
  if (first == NULL && own_rseq(&area, 1) != 0) __atomic_add_fetch(&bad, 1, __ATOMIC_RELAXED);
  return NULL;
}

static long sum(void) {
  long all = 0;
  for (int i = 0; i < PROCESSORS; i++) all += counts[i];
  return all;
}

int main(void) {
  struct area other = {0};
  const sigset_t none = {0};
  sigset_t alarm_alone = none;
  sigaddset(&alarm_alone, SIGALRM);
  printf("registered: %ld", own_rseq(&area, 0));
  printf(", once more: %ld", own_rseq(&area, 0));
  printf(", another: %ld\n", own_rseq(&other, 0));
  const struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
  const struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
  sigaction(SIGALRM, &action, NULL);
  /* The main thread alone is struck: others have no area at first. */
  pthread_t threads[THREADS];
  sigprocmask(SIG_BLOCK, &alarm_alone, NULL);
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, NULL);
  sigprocmask(SIG_UNBLOCK, &alarm_alone, NULL);
  setitimer(ITIMER_REAL, &often, NULL);
  work(&area);
  long more = 0;
  for (; ticks < 50; more++) count(&area, 1);
  setitimer(ITIMER_REAL, &never, NULL);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  printf("%ld too many, wrong: %ld\n", sum() - (THREADS + 1L) * TIMES - more - ticks, bad);
  fflush(stdout);
  /* A child has what its parent has. */
  const pid_t child = fork();
  if (child == 0) {
    const long before = sum();
    for (int i = 0; i < 1000; i++) count(&area, 1);
    printf("in a child: %ld counted, given back: %ld\n", sum() - before, own_rseq(&area, 1));
    exit(0);
  }
  waitpid(child, NULL, 0);
  printf("given back: %ld", own_rseq(&area, 1));
  printf(", once more: %ld\n", own_rseq(&area, 1));
  return 0;
}
