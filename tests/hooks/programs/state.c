/* Everything that a system call must leave as it was, filled with random values and compared: all general
 * registers, the arithmetic flags, DF and AC, the red zone, rsp, MXCSR, the x87 control word, and the vector
 * registers and masks that this processor has. rcx is the address behind the call, and r11 the flags. */
#include <cpuid.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct state {
  uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15, flags;
  uint64_t rsp, mxcsr, x87, padding;
  uint8_t red_zone[128], gap[32];
  uint8_t vectors[32][64];
  uint64_t masks[8];
  uint32_t wide, end;
};
_Static_assert(__builtin_offsetof(struct state, red_zone) == 160, "state.S");
_Static_assert(__builtin_offsetof(struct state, vectors) == 320, "state.S");
_Static_assert(__builtin_offsetof(struct state, masks) == 2368, "state.S");
_Static_assert(__builtin_offsetof(struct state, wide) == 2432, "state.S");

long call_with_state(struct state *before, struct state *after, long number, long first);
extern const char behind_call[];

static uint64_t seed = 42;
static uint64_t random64(void) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed;
}

static uint32_t width(void) {
  unsigned a, b, c, d, low, high;
  __cpuid(1, a, b, c, d);
  if (!(c & bit_OSXSAVE) || !(c & bit_AVX)) return 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if ((low & 6) != 6) return 0;
  __cpuid_count(7, 0, a, b, c, d);
  return (b & bit_AVX512F) && (b & bit_AVX512BW) && (low & 0xe0) == 0xe0 ? 2 : 1;
}

static int failures;

static void compare(const char *call, const char *what, uint64_t expected, uint64_t found) {
  if (expected == found) return;
  if (failures++ < 20) printf("FAILED: %s: %s is %#lx, and was %#lx\n", call, what, found, expected);
}

static void try_call(const char *name, long number, long first, long answer, uint64_t odd_flags) {
  static struct state before, after;
  for (size_t i = 0; i < sizeof before / 8; i++) ((uint64_t *)&before)[i] = random64();
  before.wide = width();
  before.flags = 0x202 | (random64() & 0x8d5) | odd_flags;
  before.mxcsr = 0x1f80 | (random64() & 0x6000);
  before.x87 = 0x37f ^ (random64() & 0xc00);
  memset(&after, 0, sizeof after);
  const long result = call_with_state(&before, &after, number, first);
  if (answer != 1) compare(name, "the answer", (uint64_t)answer, (uint64_t)result);
  compare(name, "rbx", before.rbx, after.rbx);
  compare(name, "rcx", (uint64_t)behind_call, after.rcx);
  compare(name, "rdx", before.rdx, after.rdx);
  compare(name, "rsi", before.rsi, after.rsi);
  compare(name, "rdi", before.rdi, after.rdi);
  compare(name, "rbp", before.rbp, after.rbp);
  compare(name, "r8", before.r8, after.r8);
  compare(name, "r9", before.r9, after.r9);
  compare(name, "r10", before.r10, after.r10);
  compare(name, "r11", before.flags, after.r11);
  compare(name, "r12", before.r12, after.r12);
  compare(name, "r13", before.r13, after.r13);
  compare(name, "r14", before.r14, after.r14);
  compare(name, "r15", before.r15, after.r15);
  compare(name, "flags", before.flags, after.flags);
  compare(name, "rsp", 0, after.rsp);
  compare(name, "mxcsr", before.mxcsr & 0xffffffff, after.mxcsr & 0xffffffff);
  compare(name, "x87", before.x87 & 0xffff, after.x87 & 0xffff);
  compare(name, "the red zone", 0, (uint64_t)memcmp(before.red_zone, after.red_zone, 128));
  const int count = before.wide == 2 ? 32 : 16, size = before.wide == 2 ? 64 : before.wide == 1 ? 32 : 16;
  for (int i = 0; i < count; i++)
    compare(name, "a vector register", 0, (uint64_t)memcmp(before.vectors[i], after.vectors[i], size));
  if (before.wide == 2) compare(name, "a mask", 0, (uint64_t)memcmp(before.masks, after.masks, 64));
}

int main(void) {
  const uint64_t direction = 0x400, alignment = 0x40000;
  for (int i = 0; i < 300; i++) {
    const uint64_t odd = (i % 3 == 1 ? direction : 0) | (i % 5 == 1 ? alignment : 0);
    try_call("getppid", 110, 0, 1, odd);
    try_call("a call that does not exist", 1000, 0, -ENOSYS, odd);
    try_call("close", 3, -1, -EBADF, odd);
    try_call("rt_sigaction", 13, 65, -EINVAL, odd);
    try_call("munmap", 11, 1, -EINVAL, odd);
    try_call("munmap of a library", 11, (long)printf | 1, -EINVAL, odd);
    try_call("execve", 59, -1, -EFAULT, odd);
    /* Into nowhere, of a size that may be none. */
    try_call("readlink", 89, (long)"/proc/self/exe", 1, odd);
    /* The path is none, as the flags may be. */
    try_call("openat", 257, -100, 1, odd);
    try_call("arch_prctl", 158, 0, -EINVAL, odd);
  }
  printf("%s, %d failures\n", width() == 2 ? "zmm" : width() == 1 ? "ymm" : "xmm", failures);
  return failures != 0;
}
