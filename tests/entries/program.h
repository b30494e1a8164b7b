// What the programs share: no libc, so that all system calls are theirs, and a way to say what went
// wrong. Each has its window in `op`, defined before this is included or elsewhere.
#ifndef SYSREWRITE_TESTS_ENTRIES_PROGRAM_H_
#define SYSREWRITE_TESTS_ENTRIES_PROGRAM_H_

#define SYS_write 1
#define SYS_getpid 39
#define SYS_exit_group 231

// Far enough that no short jump leads over it, and no decode that starts in front sees both ends.
#define FILL __asm__ volatile(".rept 60\n\tadd $1, %%r8\n\t.endr" ::: "r8")

// Short instructions in front of a system call, so that only a window of several holds a jump:
//
//     mov   $39, %al
//     movzbl %al, %eax
//     ...              <- what enters here has its number in rax already
//     mov   %edx, %edi
//     syscall
#define SET_GETPID(number) __asm__ volatile("mov $39, %%al\n\tmovzbl %%al, %%eax" : "+a"(number))
#define MAKE_CALL(result, number)                \
  __asm__ volatile("mov %%edx, %%edi\n\tsyscall" \
                   : "=a"(result)                \
                   : "a"(number)                 \
                   : "rcx", "r11", "rdi", "memory")

static inline long call(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c)
                   : "rcx", "r11", "memory");
  return result;
}

static void say(const char* text) {
  long length = 0;
  while (text[length] != 0) ++length;
  call(SYS_write, 1, (long)text, length);
}

static int failed;

static void check(long found, long expected, const char* what) {
  say(found == expected ? "ok " : "FAILED ");
  say(what);
  say("\n");
  failed |= found != expected;
}

_Noreturn static void leave(void) {
  for (;;) call(SYS_exit_group, failed, 0, 0);
}

#endif  // SYSREWRITE_TESTS_ENTRIES_PROGRAM_H_
