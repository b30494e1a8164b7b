/* A process with threads forks, and its child is a process with as many threads that forks, and so on. What a child has of
 * its parent's threads is not there for it; so each generation takes as much of the address space as the one before.
 *
 * The threads are made by the plain call, on stacks of the program's own, since the libcs differ in what a child keeps of
 * its parent's. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 8, GENERATIONS = 12, STACK = 16384 };

static char stacks[THREADS][STACK] __attribute__((aligned(64)));
__attribute__((used)) volatile int begun;

/* start(flags, stack): a thread, which counts itself, and then waits for ever. */
long start(long flags, void *stack);
__asm__(
    ".text\n.globl start\n"
    "start:\n mov $56, %eax\n xor %edx, %edx\n xor %r10d, %r10d\n xor %r8d, %r8d\n syscall\n"
    " test %rax, %rax\n jz 1f\n ret\n"
    "1: lock incl begun(%rip)\n"
    "2: mov $34, %eax\n syscall\n jmp 2b\n");

static long pages(void) {
  char text[64] = "";
  const int file = open("/proc/self/statm", O_RDONLY);
  if (read(file, text, sizeof text - 1) <= 0) exit(2);
  close(file);
  return atol(text);
}

static void live(int generation, long first) {
  const long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  begun = 0;
  for (int i = 0; i < THREADS; i++)
    if (start(flags, stacks[i] + STACK) <= 0) exit(3);
  while (begun < THREADS) sched_yield();
  const long now = pages();
  if (generation == 1) first = now;
  if (generation == GENERATIONS) {
    printf("generation %d: %ld pages more\n", generation, now - first);
    exit(0);
  }
  const pid_t child = fork();
  if (child == 0) live(generation + 1, first);
  int status = -1;
  waitpid(child, &status, 0);
  exit(status >> 8);
}

int main(void) {
  /* What stdio takes. */
  printf("threads in each of %d: %d\n", GENERATIONS, THREADS);
  fflush(stdout);
  live(1, 0);
}
