// A dispatch by distances between labels (GCC manual, "Labels as Values"): the table needs no
// relocation, and its second entry leads into the window.
#include "program.h"

__attribute__((noinline)) long op(long i, long number) {
  static const int table[] = {(char*)&&l0 - (char*)&&l0, (char*)&&l1 - (char*)&&l0,
                              (char*)&&l2 - (char*)&&l0};
  long result;
  void* target = (char*)&&l0 + table[i];
  FILL;
  goto* target;
l0:
  FILL;
  SET_GETPID(number);
l1:
  MAKE_CALL(result, number);
  FILL;
  return result;
l2:
  FILL;
  return -2;
}

void _start(void) {
  const long pid = call(SYS_getpid, 0, 0, 0);
  check(op(2, 0), -2, "another label");
  check(op(0, 0), pid, "the label that falls into the window");
  check(op(1, SYS_getpid), pid, "the label that enters it");
  leave();
}
