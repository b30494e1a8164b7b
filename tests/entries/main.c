// Asks `op` of an assembly file, whose cases are: 0 falls into the window of getpid, 1 enters it
// with the number in its second argument, 2 returns -2.
#include "program.h"

long op(long i, long number);

void _start(void) {
  const long pid = call(SYS_getpid, 0, 0, 0);
  check(op(2, 0), -2, "another case");
  check(op(0, 0), pid, "the case that falls into the window");
  check(op(1, SYS_getpid), pid, "the case that enters it");
  leave();
}
