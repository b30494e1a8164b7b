/* Calls by which handlers are set and run, from a program that has alignment checked (EFLAGS.AC), with an action that is
 * not aligned or at the edge of what may be read.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's. */
struct Action {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)(void);
  unsigned long mask;
};

/* checked_call(number, a, b, c, d): the call with AC set, if `checks`, and what AC is behind it, in checked_after. */
long checked_call(long number, long a, long b, long c, long d, long checks);
/* call_on(stack, number, a, b, c, d): the call, with rsp there. */
long call_on(long stack, long number, long a, long b, long c, long d);
/* raise_checked(): signal 10 for this thread, with AC set. */
long raise_checked(long pid, long tid);
extern long checked_after;
__asm__(
    ".data\n checked_after: .quad 0\n .text\n"
    ".globl checked_call, call_on, raise_checked\n"
    "checked_call:\n mov %rdi, %rax\n mov %rsi, %rdi\n mov %rdx, %rsi\n mov %rcx, %rdx\n mov %r8, %r10\n"
    " shl $18, %r9\n pushfq\n or %r9, (%rsp)\n popfq\n syscall\n"
    " pushfq\n pop %rcx\n and $0x40000, %ecx\n mov %rcx, checked_after(%rip)\n"
    " pushfq\n andq $~0x40000, (%rsp)\n popfq\n ret\n"
    "call_on:\n push %rbx\n mov %rsp, %rbx\n mov %rdi, %r11\n mov %rsi, %rax\n mov %rdx, %rdi\n mov %rcx, %rsi\n"
    " mov %r8, %rdx\n mov %r9, %r10\n mov %r11, %rsp\n syscall\n mov %rbx, %rsp\n pop %rbx\n ret\n"
    "raise_checked:\n mov $10, %edx\n pushfq\n orq $0x40000, (%rsp)\n popfq\n mov $234, %eax\n syscall\n"
    " pushfq\n andq $~0x40000, (%rsp)\n popfq\n ret\n"
    "give_back: mov $15, %eax\n syscall\n");
extern void give_back(void);

/* raise_flagged(pid, tid, flags): the same with these flags, and what is left of them behind the handler. */
long raise_flagged(long pid, long tid, long flags);
__asm__(
    ".text\n.globl raise_flagged\n"
    "raise_flagged:\n mov %rdx, %r8\n mov $10, %edx\n pushfq\n or %r8, (%rsp)\n popfq\n mov $234, %eax\n syscall\n"
    " pushfq\n pop %rax\n and %r8, %rax\n pushfq\n not %r8\n and %r8, (%rsp)\n popfq\n ret\n");

static volatile long in_handler, runs;

static void on_signal(int signal) {
  long flags;
  (void)signal;
  __asm__ volatile("pushfq\n pop %0\n pushfq\n andq $~0x40000, (%%rsp)\n popfq" : "=r"(flags)::"memory");
  in_handler = flags & 0x40000;
  runs++;
}

static char memory[256] __attribute__((aligned(64)));

static void set_with(int away, long checks) {
  struct Action action = {on_signal, 0x04000000, give_back, 1ul << (SIGUSR2 - 1)}, old;
  char *const given = memory + away, *const before = memory + 128 + away;
  memcpy(given, &action, sizeof action);
  memset(before, 0x77, sizeof old);
  const long answer = checked_call(SYS_rt_sigaction, SIGUSR1, (long)given, (long)before, 8, checks);
  memcpy(&old, before, sizeof old);
  printf("away %d, checked %ld: %ld, AC %lx, old %s mask %lx\n", away, checks, answer, checked_after,
         old.handler == on_signal ? "is ours" : old.handler == NULL ? "none" : "another", old.mask);
  in_handler = -1;
  raise_checked(getpid(), syscall(SYS_gettid));
  printf("  raised: AC %lx, run %ld\n", in_handler, runs);
  fflush(stdout);
}

/* An action that ends where its stack does. */
static void at_edge(void) {
  char *const stack = mmap(NULL, 5 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct Action action = {on_signal, 0x04000000, give_back, 0};
  if (stack == MAP_FAILED || mprotect(stack + 4 * 4096, 4096, PROT_NONE) != 0) exit(2);
  char *const end = stack + 4 * 4096;
  for (int beyond = 0; beyond < 8; beyond += 8) {
    if (beyond <= 32)
      memcpy(end - 32 + beyond, &action, 32 - (size_t)beyond);
    const long answer =
        call_on((long)end - 64, SYS_rt_sigaction, SIGUSR1, (long)end - 32 + beyond, 0, 8);
    printf("%d beyond: %ld\n", beyond, answer);
    fflush(stdout);
  }
  printf("across pages: ");
  memcpy(end - 4096 - 16, &action, sizeof action);
  printf("%ld\n", call_on((long)end - 4096 - 64, SYS_rt_sigaction, SIGUSR1, (long)end - 4096 - 16, 0, 8));
}

int main(int argc, char **argv) {
  (void)argc;
  for (int away = 0; away < 8; away += 3)
    for (long checks = 0; checks < 2; checks++) set_with(away, checks);
  at_edge();
  /* NT and ID: a handler's way back takes them as they are. */
  for (long flags = 0; flags <= 0x204000; flags += 0x4000)
    if ((flags & ~0x204000) == 0)
      printf("flags %lx: %lx\n", flags, raise_flagged(getpid(), syscall(SYS_gettid), flags));
  /* A call that sysload may serve. */
  const int file = open(argv[0], O_RDONLY);
  const long at = checked_call(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, 0);
  const long none = checked_call(SYS_mmap, 0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, 1);
  printf("mapped %d %d, AC %lx\n", at > 0 || at == -EBADF || at == -ENODEV || at == -EACCES, none > 0, checked_after);
  const long read = checked_call(SYS_readlink, (long)"/proc/self/exe", (long)memory + 1, 64, 0, 1);
  printf("link %d, AC %lx, file %d\n", read > 0, checked_after, file >= 0);
  return 0;
}
