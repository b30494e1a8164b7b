// A switch whose second case enters the window in front of the first case's system call.
#include "program.h"

__attribute__((noinline)) long op(long i, long number) {
  long result;
  switch (i) {
    case 0:
      FILL;
      SET_GETPID(number);
      /* fall through */
    case 1:
      MAKE_CALL(result, number);
      FILL;
      return result;
    case 2:
      FILL;
      return -2;
    case 3:
      FILL;
      return -3;
    case 4:
      FILL;
      return -14;
    case 5:
      FILL;
      return number;
    case 6:
      FILL;
      return number + 7;
  }
  return 0;
}

void _start(void) {
  const long pid = call(SYS_getpid, 0, 0, 0);
  check(op(2, 0), -2, "another case");
  check(op(0, 0), pid, "the case that falls into the window");
  check(op(1, SYS_getpid), pid, "the case that enters it");
  leave();
}
