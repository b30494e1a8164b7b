// Times its own system calls: `call_program constant|register NUMBER CALLS` prints the nanoseconds
// that CALLS calls took. Without a libc, so that the loop is all there is; without the vdso, since
// the clock is read twice in a run and not once in a call.
#include <stdint.h>

long constant_getppid(long calls);
long constant_missing(long calls);
long register_loop(long calls, long number);

enum { kWrite = 1, kExitGroup = 231, kClockGettime = 228, kGetppid = 110, kMissing = 1000 };

static long call(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c)
                   : "rcx", "r11", "memory");
  return result;
}

static __attribute__((noreturn)) void leave(long status) {
  for (;;) call(kExitGroup, status, 0, 0);
}

static uint64_t now(void) {
  struct {
    int64_t seconds, nanoseconds;
  } time;
  const long monotonic = 1;
  if (call(kClockGettime, monotonic, (long)&time, 0) != 0) leave(3);
  return (uint64_t)time.seconds * 1000000000u + (uint64_t)time.nanoseconds;
}

static void print(uint64_t value) {
  char text[24];
  char* at = text + sizeof(text);
  *--at = '\n';
  do {
    *--at = (char)('0' + value % 10);
    value /= 10;
  } while (value != 0);
  call(kWrite, 1, (long)at, text + sizeof(text) - at);
}

static long parse(const char* text) {
  long value = 0;
  for (; *text >= '0' && *text <= '9'; ++text) value = value * 10 + (*text - '0');
  if (*text != 0) leave(2);
  return value;
}

static long run_loop(char shape, long number, long calls) {
  if (shape == 'r') return register_loop(calls, number);
  if (number == kGetppid) return constant_getppid(calls);
  if (number == kMissing) return constant_missing(calls);
  leave(2);
}

// `stack`: argc, argv[0], argv[1] ... as the kernel lays them out.
void run_program(const long* stack) {
  if (stack[0] != 4) leave(2);
  const char* const* arguments = (const char* const*)(stack + 1);
  const char shape = arguments[1][0];
  const long number = parse(arguments[2]);
  const long calls = parse(arguments[3]);
  if (calls < 1) leave(2);
  run_loop(shape, number, calls / 16 + 1);  // caches, branch predictors, a page fault or two
  const uint64_t start = now();
  const long result = run_loop(shape, number, calls);
  const uint64_t end = now();
  // A loop that measures some other call than the one it was asked for must not go unnoticed.
  const long enosys = -38;
  if (number == kMissing ? result != enosys : result < 0) leave(4);
  print(end - start);
  leave(0);
}
