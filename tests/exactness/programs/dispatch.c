// Syscall User Dispatch of a program's own, for itself and in a thread that does not inherit it.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { kSetUserDispatch = 59, kOn = 1, kBlock = 1 };

static volatile char selector;
static volatile int caught;
extern const char behind_the_call[];

static void handle(int number, siginfo_t *info, void *argument) {
  ucontext_t *context = argument;
  (void)number;
  selector = 0;
  caught += 1;
  printf("  caught: call %d, code %d, si_call_addr %s, rip %s, rax %lld\n", info->si_syscall, info->si_code,
         info->si_call_addr == behind_the_call ? "behind it" : "elsewhere",
         context->uc_mcontext.gregs[REG_RIP] == (long)behind_the_call ? "behind it" : "elsewhere",
         context->uc_mcontext.gregs[REG_RAX]);
  context->uc_mcontext.gregs[REG_RAX] = 4242;
}

__attribute__((noipa)) static long make(long number) {
  long result;
  __asm__ volatile("mov %1, %%rax\n\tsyscall\n\t.globl behind_the_call\nbehind_the_call: nop"
                   : "=&a"(result) : "r"(number) : "rcx", "r11", "memory");
  return result;
}

static void *in_a_thread(void *argument) {
  selector = kBlock;
  const long found = make(SYS_getppid);
  selector = 0;
  printf("a thread's call: %s\n", found == getppid() ? "made" : "caught");
  return argument;
}

int main(void) {
  struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
  sigaction(SIGSYS, &action, NULL);
  const int armed = prctl(kSetUserDispatch, kOn, 0, 0, &selector);
  printf("on: %d\n", armed == 0 ? 0 : errno);
  if (armed == 0) {
    for (int i = 0; i < 3; i++) {
      selector = kBlock;
      const long found = make(SYS_getppid);
      selector = 0;
      printf("%ld, %d caught\n", found, caught);
    }
    pthread_t thread;
    pthread_create(&thread, NULL, in_a_thread, NULL);
    pthread_join(thread, NULL);
  }
  printf("off, wrongly: %d\n", prctl(kSetUserDispatch, 0, 0, 0, &selector) == 0 ? 0 : errno);
  printf("off: %d\n", prctl(kSetUserDispatch, 0, 0, 0, 0) == 0 ? 0 : errno);
  selector = kBlock;
  printf("a call behind it: %s\n", make(SYS_getppid) == getppid() ? "made" : "caught");
  return 0;
}
