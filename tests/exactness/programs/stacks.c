// What becomes of alternate signal stacks: what handlers are shown of them, what holds behind a handler that sets one, and in
// threads and children.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif

static char first[65536], second[65536];
static sigjmp_buf outside;
static enum { kReturn, kSet, kTakeAway, kEdit, kLeave } deed;

static const char *name_of(const void *place) {
  const char *at = place;
  if (at >= first && at < first + sizeof(first)) return "first";
  if (at >= second && at < second + sizeof(second)) return "second";
  return at == NULL ? "none" : "another";
}

static void print(const char *what, const stack_t *stack) {
  printf("  %s: %s, flags %#x, %zu bytes\n", what, name_of(stack->ss_sp), (unsigned)stack->ss_flags, stack->ss_size);
}

static void ask(const char *when) {
  stack_t now;
  memset(&now, 1, sizeof(now));
  if (sigaltstack(NULL, &now) != 0) printf("  errno %d\n", errno);
  print(when, &now);
}

static int set(char *stack, unsigned flags) {
  const stack_t wanted = {stack, (int)flags, sizeof(first)};
  return sigaltstack(&wanted, NULL) == 0 ? 0 : errno;
}

static void handle(int number, siginfo_t *info, void *argument) {
  (void)info;
  ucontext_t *context = argument;
  char here;
  printf(" signal %d, on %s\n", number, strcmp(name_of(&here), "another") == 0 ? "the stack" : name_of(&here));
  print("in the context", &context->uc_stack);
  ask("in the handler");
  if (deed == kSet) printf("  set: %d\n", set(second, 0));
  if (deed == kTakeAway) printf("  taken away: %d\n", set(NULL, SS_DISABLE));
  if (deed == kEdit) context->uc_stack = (stack_t){second, 0, sizeof(second)};
  if (deed == kLeave) siglongjmp(outside, 1);
}

static void raise_with(int flags) {
  struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | flags};
  sigaction(SIGUSR1, &action, NULL);
  if (sigsetjmp(outside, 1) == 0) raise(SIGUSR1);
  ask("behind it");
}

static void each_deed(const char *state) {
  static const char *const names[] = {"returns", "sets one", "takes it away", "edits the context", "leaves by siglongjmp"};
  for (int on = 0; on < 2; on++)
    for (deed = kReturn; deed <= kLeave; deed++) {
      printf("%s, %s, the handler %s\n", state, on ? "SA_ONSTACK" : "no flags", names[deed]);
      if (strcmp(state, "no stack") == 0) set(NULL, SS_DISABLE);
      if (strcmp(state, "a stack") == 0) set(first, 0);
      if (strcmp(state, "a stack to be disarmed") == 0) set(first, SS_AUTODISARM);
      raise_with(on ? SA_ONSTACK : 0);
    }
}

static void *in_a_thread(void *argument) {
  ask("in a thread");
  each_deed("no stack");
  each_deed("a stack");
  set(NULL, SS_DISABLE);
  return argument;
}

int main(void) {
  setvbuf(stdout, NULL, _IOFBF, 1 << 20);
  ask("at the start");
  raise_with(0);
  raise_with(SA_ONSTACK);
  each_deed("no stack");
  each_deed("a stack");
  each_deed("a stack to be disarmed");
  set(NULL, SS_DISABLE);
  pthread_t thread;
  pthread_create(&thread, NULL, in_a_thread, NULL);
  pthread_join(thread, NULL);
  set(first, 0);
  fflush(stdout);
  if (fork() == 0) {
    ask("in a child");
    deed = kReturn;
    raise_with(SA_ONSTACK);
    fflush(stdout);
    _exit(0);
  }
  wait(NULL);
  return 0;
}
