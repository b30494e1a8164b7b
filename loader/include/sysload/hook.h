/* Hooks: code that decides what a program's system calls do.
 *
 * A hook is a freestanding shared object, compiled by
 *
 *     cc -O2 -shared -fPIC -ffreestanding -nostdlib -mgeneral-regs-only -I DIR -o mine.so mine.c
 *
 * and named to sysload or to `sysrewrite run`:
 *
 *     sysload --hook ./mine.so ./program
 *     sysrewrite run --hook ./mine.so:key=value -- git status
 *
 * It exports one function, sysload_hook_init(), which fills in a struct sysload_hook: the calls
 * that it wants to see, and the functions that see them. The hooks that come with sysload are
 * written against this very header, and docs/hooks.md has examples of each kind.
 *
 * What a hook may do
 *   - Everything that needs no libc: there is none but memcpy, memmove, memset, memcmp and strlen,
 *     no thread-local storage (%fs is the program's), no constructors or destructors. What a hook
 *     needs and there is not is refused by name.
 *   - Call the functions of struct sysload_api, from any of its functions.
 *   - Change the call it is shown, answer it, or let it pass.
 *
 * Rules
 *   - Hooks run on a stack of their own, one for each thread, of SYSLOAD_HOOK_STACK bytes. The
 *     program's stack may be tiny, or none: never touch it but through read() and write().
 *   - A hook may run in many threads at once: what they share needs atomics. A lock must be one
 *     that fork() leaves open in the child (see `forked`); spinning with sched_yield is fine.
 *   - No signal handler of the program's runs while a hook does: it runs when the call is done, or
 *     before it is made. So a hook is never entered twice by one thread, and must not wait for what
 *     the program would do in a handler.
 *   - Calls made through api->syscall are not hooked. clone, fork, vfork, execve, exit and
 *     rt_sigreturn must not be made that way.
 *   - Vector registers and the x87 are the program's. Compile with -mgeneral-regs-only, or say
 *     SYSLOAD_VECTORS, which costs some 100 ns for each call of interest, and with SYSLOAD_NO_X87
 *     10 to 20.
 *
 * Everything here is the x86-64 System V ABI. All integers are in the kernel's representation:
 * errors are -4095 to -1.
 */
#ifndef SYSLOAD_HOOK_H_
#define SYSLOAD_HOOK_H_

/* C's own names of them, since C reads this too. */
#include <stddef.h> /* NOLINT(modernize-deprecated-headers) */
#include <stdint.h> /* NOLINT(modernize-deprecated-headers) */

#ifdef __cplusplus
extern "C" {
#endif

#define SYSLOAD_HOOK_ABI 1

#define SYSLOAD_HOOK_STACK 49152   /* bytes that a hook may use of its stack */
#define SYSLOAD_CALL_MEMORY 16384  /* bytes that call_memory() has for one call */
#define SYSLOAD_THREAD_MEMORY 2048 /* bytes that all hooks together have for each thread */
#define SYSLOAD_MOST_HOOKS 8       /* hooks in one program */
#define SYSLOAD_MOST_NUMBERS 1024  /* system-call numbers that interest can name one by one */
#define SYSLOAD_LINE 8192          /* bytes that one print() can write */

/* What entry() says of a call. */
enum sysload_verdict {
  SYSLOAD_PASS = 0,   /* make it, with number and arguments as they now stand in the call */
  SYSLOAD_ANSWER = 1, /* do not make it: the program gets `result` */
};

/* What exit() is given as `result` where the call was interrupted by a signal that the program
 * handles, and is made anew afterwards: entry() sees it again, as a call of its own. Source: linux,
 * include/linux/errno.h, ERESTARTSYS; strace shows "? ERESTARTSYS". */
#define SYSLOAD_RESTARTED (-512)

/* One system call. Valid from entry() to exit(). */
struct sysload_call {
  uint64_t number;        /* eax: bits 32 and above of rax, which the kernel ignores, are 0 here */
  uint64_t argument[6];   /* rdi, rsi, rdx, r10, r8, r9 */
  int64_t result;         /* entry: set it to answer; exit: what the program will see, changeable */
  uint64_t stack_pointer; /* the program's rsp; it may name no stack */
  uint64_t origin;        /* for place() */
  uint64_t scratch[4];    /* 0 at entry, each hook has its own, kept until exit */
};

/* One thread of the program. */
struct sysload_thread {
  uint64_t tid; /* as gettid gives it; of the calling process's pid namespace */
  void* data;   /* thread_size bytes of this hook's own, 0 when the thread starts; aligned to 16 */
};

/* Where a call comes from. */
struct sysload_place {
  uint64_t address; /* of the syscall instruction, in memory */
  uint64_t base;    /* where the object's first byte would lie; address - base is its vaddr */
  char object[256]; /* path as it was mapped, cut to size; "" where it is not known */
};

struct sysload_api;

/* What a hook is. sysload clears it, sets `api` and `options`, and calls sysload_hook_init(). */
struct sysload_hook {
  const struct sysload_api* api;
  const char* options; /* what stood behind the hook's name and a colon; "" */
  void* data;          /* yours: for the whole process, and for forked children a copy */

  uint32_t flags;       /* SYSLOAD_VECTORS and so on, below */
  uint32_t thread_size; /* bytes of thread->data, at most SYSLOAD_THREAD_MEMORY in all */

  /* Bit n % 64 of word n / 64: whether entry() and exit() are called for number n. Calls of no
   * interest cost about a nanosecond. Numbers from SYSLOAD_MOST_NUMBERS on (there are none, but a
   * program may ask) are of interest where the last number, 1023, is. */
  uint64_t entry_interest[SYSLOAD_MOST_NUMBERS / 64];
  uint64_t exit_interest[SYSLOAD_MOST_NUMBERS / 64];

  /* Before the call. Of several hooks the first named is asked first; where one answers, those
   * behind it are not asked. */
  enum sysload_verdict (*entry)(struct sysload_hook*, struct sysload_thread*, struct sysload_call*);
  /* After the call, in the opposite order: of each hook with exit interest in it whose entry was
   * called or not of interest, unless a hook before it answered. It is not called for calls that do
   * not return: exit, exit_group, rt_sigreturn, an execve that succeeds; nor in the child of a
   * fork. */
  void (*exit)(struct sysload_hook*, struct sysload_thread*, struct sysload_call*);

  /* Any of these may be NULL. */
  void (*thread_started)(struct sysload_hook*,
                         struct sysload_thread*);                       /* in it, before its code;
                                                                           for the first thread too */
  void (*thread_exiting)(struct sysload_hook*, struct sysload_thread*); /* in it, by exit */
  void (*forked)(struct sysload_hook*, struct sysload_thread*); /* in a child with memory of its
                                                                   own: reset locks here */
  void (*finishing)(struct sysload_hook*, int status); /* the process is about to end by exit_group,
                                                          or its last thread by exit */
};

/* For sysload_hook.flags. */
#define SYSLOAD_VECTORS 1u   /* the hook's code may change vector registers, and the x87 */
#define SYSLOAD_SEES_VDSO 2u /* hide the vdso, so that clock_gettime and the like are calls */
#define SYSLOAD_NO_X87 4u    /* with SYSLOAD_VECTORS: but not the x87: no long double */

/* What a hook may call, at any time but where stated. All of it is thread-safe. */
struct sysload_api {
  uint32_t abi;  /* SYSLOAD_HOOK_ABI */
  uint32_t size; /* bytes of this structure: later ones only add to its end */

  /* A system call, not hooked. */
  int64_t (*syscall)(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                     uint64_t f);

  /* Copies from the program's memory, which may not be there or may go away meanwhile. Returns the
   * bytes copied, fewer where the rest is not there, or -EFAULT. */
  int64_t (*read)(void* to, uint64_t address, uint64_t size);
  /* A NUL-ended string into `size` bytes. Returns its length; -EFAULT; -ENAMETOOLONG where it is
   * longer, and `to` then holds its first size - 1 bytes and a NUL. */
  int64_t (*read_string)(char* to, uint64_t address, uint64_t size);
  /* Copies to the program's memory. Returns 0 or -EFAULT. */
  int64_t (*write)(uint64_t address, const void* from, uint64_t size);

  /* Memory that lives until the call is done, for arguments that the kernel is to read: aligned to
   * 16; NULL where SYSLOAD_CALL_MEMORY is used up. */
  void* (*call_memory)(struct sysload_call* call, uint64_t size);
  /* New memory, 0, for as long as the process lives; whole pages. NULL where there is none. */
  void* (*allocate)(uint64_t size);
  /* Only in sysload_hook_init, once: memory that all processes of the tree share, also those that
   * `sysrewrite run` follows through execve. 0 where nobody has written yet. NULL where there is
   * none. It outlives each process. */
  void* (*share)(struct sysload_hook* hook, uint64_t size);

  /* Writes to where this hook's output goes (standard error; a file with output=PATH among its
   * options; under `sysrewrite run` the parent writes it). In one piece: lines of several threads
   * do not mix. The program's descriptors are not touched. */
  void (*emit)(struct sysload_hook* hook, const char* text, uint64_t size);
  /* The same, formatted: %s %.*s %c %d %i %u %x %o with l, ll, z; width, '0' and '-' flags; %p; %%.
   * Cut at SYSLOAD_LINE. */
  void (*print)(struct sysload_hook* hook, const char* format, ...)
      __attribute__((format(printf, 2, 3)));
  /* Formats into `into`, NUL-ended; returns the length it would have, as snprintf does. */
  uint64_t (*format)(char* into, uint64_t size, const char* format, ...)
      __attribute__((format(printf, 3, 4)));
  /* Ends the process with "sysload: hook NAME: ..." on standard error and status 127. For
   * sysload_hook_init: later the program has begun to rely on what happened. */
  void (*fail)(struct sysload_hook* hook, const char* format, ...)
      __attribute__((format(printf, 2, 3), noreturn));

  /* The value of `key` among options of the form key=value:key=value, with "\:" for a colon.
   * Returns its length, -ENOENT where there is none, -ENAMETOOLONG where it does not fit. A key
   * alone has the value "". */
  int64_t (*option)(const struct sysload_hook* hook, const char* key, char* into, uint64_t size);

  /* Where a call comes from. Returns 0, or -ENOENT for code that nobody rewrote. */
  int (*place)(const struct sysload_call* call, struct sysload_place* into);
  /* "openat" for 257; NULL for a number that has no name. */
  const char* (*call_name)(uint64_t number);
  /* -1 where no call has that name. */
  int64_t (*call_number)(const char* name);
  /* "ENOENT" for 2 and for -2; NULL where there is no name. */
  const char* (*error_name)(int64_t error);
  /* The program's path, as it was executed. */
  const char* (*program)(void); /* NOLINT(modernize-redundant-void-arg) */
};

/* The one function that a hook exports. Returns 0; anything else, and the program is not started.
 */
int sysload_hook_init(struct sysload_hook* hook);

static inline void sysload_want_entry(struct sysload_hook* hook, uint64_t number) {
  hook->entry_interest[number / 64 % (SYSLOAD_MOST_NUMBERS / 64)] |= (uint64_t)1 << number % 64;
}
static inline void sysload_want_exit(struct sysload_hook* hook, uint64_t number) {
  hook->exit_interest[number / 64 % (SYSLOAD_MOST_NUMBERS / 64)] |= (uint64_t)1 << number % 64;
}
/* Every call, of whatever number. */
static inline void sysload_want_all(struct sysload_hook* hook, int entry, int exit) {
  for (unsigned i = 0; i < SYSLOAD_MOST_NUMBERS / 64; ++i) {
    if (entry) hook->entry_interest[i] = ~(uint64_t)0;
    if (exit) hook->exit_interest[i] = ~(uint64_t)0;
  }
}

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* SYSLOAD_HOOK_H_ */
