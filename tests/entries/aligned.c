// A dispatch by distances between labels, whose second entry leads to a loop: its label stands in
// front of the nops that align the loop, and they look like dead padding.
#include "program.h"

__attribute__((noinline)) long op(long i, long number, volatile long* sum) {
  static const int table[] = {(char*)&&l0 - (char*)&&l0, (char*)&&l1 - (char*)&&l0,
                              (char*)&&l2 - (char*)&&l0};
  long result;
  void* target = (char*)&&l0 + table[i];
  FILL;
  goto* target;
l0:
  __asm__ volatile("add $1, %%r8\n\tadd $1, %%r8" ::: "r8");
  MAKE_CALL(result, number);
  return result;
l1:
  do {
    *sum += 3;
    *sum ^= 5;
  } while (--number);
  return *sum;
l2:
  FILL;
  return -2;
}

void _start(void) {
  const long pid = call(SYS_getpid, 0, 0, 0);
  volatile long sum = 0;
  check(op(2, 0, &sum), -2, "another label");
  check(op(0, SYS_getpid, &sum), pid, "the label of the call");
  check(op(1, 2, &sum), 12, "the label of a loop");
  leave();
}
