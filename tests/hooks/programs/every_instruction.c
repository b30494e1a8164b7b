/* A signal at every single instruction of a system call.
 *
 *   every_instruction trace CHILD...   runs CHILD, steps k instructions into its call, sends a signal there,
 *                                      and lets it go on; for k = 0, 1, 2 ... until the call ends before
 *   every_instruction twice N EACH CHILD... sends another one before, N instructions into the call, and steps from
 *                                      there; for each EACHth k
 *   every_instruction foreign CHILD... as trace, with the block taken from the thread before each call, as if it were
 *                                      that of the one which has made it
 *   every_instruction call             the child: makes one call after the other between two breakpoints,
 *                                      and checks what has become of it
 *   every_instruction call alternate   the same in a handler that runs on the alternate signal stack
 *   every_instruction call served      the same with a call that sysload answers itself
 *   every_instruction call caught      the same with a call in code made at run time, which --exhaustive catches
 *   every_instruction call action      the same with rt_sigaction
 *   every_instruction call nested      the same with a call that sends a signal: its handler and the way back, too
 *   every_instruction call window      the same with a window of several instructions before the syscall
 *   every_instruction call beyond      the same with one behind it
 *   every_instruction call twice       the same with an ordinary call, and another signal before
 *   every_instruction call mask        the same with rt_sigprocmask
 *   every_instruction call masked      the same while SIGSYS is blocked, which --exhaustive keeps from the kernel
 *   every_instruction call answered    the same with a readlink of /proc/self/exe, which sysload answers as a command
 *   every_instruction call odd         the same with DF and AC set
 *   every_instruction call looked      the same with a readlink that it looks at, and passes on
 *
 * What is checked, for each k: the handler has run once, and saw an instruction of the program's with the
 * registers that belong there; its mask was the program's and its own signal; its
 * own calls were right; the call's answer, registers and flags are right; the mask is as before; nothing on
 * the alternate stack was overwritten. Both are the same file, linked to a fixed address. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

extern const char call_begins[], call_ends[];

/* What is called: getppid; or, of those that sysload serves itself, arch_prctl(ARCH_GET_GS), which must not
 * show whose the gs base is. */
long number_called = SYS_getppid;
static uint64_t gs_base;
void call_here(void);
void (*where_called)(void) = call_here;
/* No label stands at a syscall: it would keep a window from covering it. Where the instructions lie, from the
 * function's start, and which of them is the syscall, stands behind each. */
__asm__("call_here: movq number_called(%rip), %rax\n syscall\n ret\n"
        "call_window: movq %rdi, %rdi\n movq %rsi, %rsi\n syscall\n ret\n"
        "call_beyond: syscall\n movq %rdi, %rdi\n movq %rsi, %rsi\n ret\n"
        ".type call_here, @function\n .type call_window, @function\n .type call_beyond, @function\n");
void call_window(void);
void call_beyond(void);
extern const char __executable_start[], etext[];
struct shape {
  uint64_t begins;
  unsigned char syscall, count, offsets[5];
};
static struct shape shape = {0, 7, 3, {0, 7, 9}};
static const struct shape of_window = {0, 6, 4, {0, 3, 6, 8}}, of_beyond = {0, 0, 4, {0, 2, 5, 8}},
                          of_new_code = {0, 5, 3, {0, 5, 7}};
/* rsp at the breakpoint, and what the call gives back. */
uint64_t rsp_before;
static long answer_expected;
static uint64_t registers_expected[8];
static volatile int handled, wrong;
static int iteration, failures, is_nested, is_second;
static uint64_t rip_seen;
/* DF and AC, where they are set at the call. */
uint64_t odd_flags;
enum { ODD = 0x40400 };

/* As the kernel knows it. */
struct action {
  void (*handler)(int);
  uint64_t flags, restorer, mask;
};
static void handler_one(int signal) { (void)signal; }
static void handler_two(int signal) { (void)signal; }
static const char *name_read = "/proc/self/exe";
static long length_read;
static long parent;

static long raw(long number, long first) {
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(first) : "rcx", "r11", "memory");
  return result;
}

static uint64_t mask_now(void) {
  uint64_t mask = 0;
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, 8);
  return mask;
}

static void fail(const char *what) {
  if (failures++ < 10) printf("FAILED: signal %d: %s\n", iteration, what);
  fflush(stdout);
}

static uint64_t mask_before;

/* What a handler sees must be what it could have seen of the program as it was compiled. */
static void check_registers(const greg_t *r) {
  const uint64_t rip = r[REG_RIP], rsp = r[REG_RSP], rax = r[REG_RAX];
  int is_inside = 0;
  for (int i = 0; i < shape.count; i++) is_inside |= rip == shape.begins + shape.offsets[i];
  const uint64_t syscall_at = shape.begins + shape.syscall;
  const int is_outside = rip == (uint64_t)call_begins || rip == (uint64_t)call_ends - 1;
  if (!is_inside && !is_outside) {
    /* In a signal's way the program has other code, of its own. */
    const int is_own = rip >= (uint64_t)__executable_start && rip < (uint64_t)etext;
    if (!(is_nested || is_second) || !is_own) {
      wrong |= 4;
      rip_seen = rip;
    }
    return;
  }
  if (rsp != rsp_before - (is_inside ? 8 : 0)) wrong |= 8;
  if (rip == syscall_at && rax != (uint64_t)number_called) wrong |= 16;
  if (is_inside && rip > syscall_at && (rax != (uint64_t)answer_expected || (uint64_t)r[REG_RCX] != syscall_at + 2))
    wrong |= 16;
  if ((r[REG_EFL] & (0x8d5 | ODD)) != (0x95 | odd_flags)) wrong |= 32;
  const int numbers[] = {REG_RBX, REG_R12, REG_R13, REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8};
  for (int i = 0; i < 8; i++)
    if ((uint64_t)r[numbers[i]] != registers_expected[i]) wrong |= 64;
}

static void on_signal(int signal, siginfo_t *info, void *context) {
  (void)info;
  /* The kernel leaves AC set. */
  __asm__ volatile("pushfq\n andq %0, (%%rsp)\n popfq" : : "i"(~ODD) : "memory", "cc");
  ++handled;
  check_registers(((ucontext_t *)context)->uc_mcontext.gregs);
  if (raw(SYS_getppid, 0) != parent || raw(SYS_close, -1) != -EBADF) wrong |= 1;
  const uint64_t others = is_nested || is_second ? 1ull << (SIGWINCH - 1) : 0; /* the other handler may be running */
  if ((mask_now() & ~others) != (mask_before | 1ull << (signal - 1))) wrong |= 2;
  struct sigaction now;
  if (sigaction(signal, NULL, &now) != 0 || now.sa_sigaction != on_signal) wrong |= 1;
  /* Last a call that is served otherwise than the one that was interrupted. */
  if (number_called != SYS_getppid && raw(SYS_getppid, 0) != parent) wrong |= 1;
}

/* The call, between its breakpoints, with all registers known. */
static void one_call(void) {
  static uint64_t r[8] = {0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666, 0x7777, 0x8888};
  const int is_served = number_called == SYS_arch_prctl, is_action = number_called == SYS_rt_sigaction;
  static struct action given, old;
  answer_expected = is_served || is_action || is_nested ? 0 : parent;
  if (is_served) {
    r[3] = 0x1004;
    r[4] = (uint64_t)&gs_base;
    gs_base = 1;
  }
  if (is_action) {
    given = (struct action){iteration % 2 ? handler_one : handler_two, 0x10000000, 0, 0};
    const uint64_t arguments[] = {SIGWINCH, (uint64_t)&given, (uint64_t)&old, 8};
    memcpy(&r[3], arguments, sizeof arguments);
    if (iteration == 0) syscall(SYS_rt_sigaction, SIGWINCH, &given, NULL, 8);
  }
  if (number_called == SYS_rt_sigprocmask) {
    static uint64_t set = 1ull << (SIGWINCH - 1), old_mask;
    const uint64_t arguments[] = {SIG_BLOCK, (uint64_t)&set, (uint64_t)&old_mask, 8};
    memcpy(&r[3], arguments, sizeof arguments);
    answer_expected = 0;
  }
  if (is_nested) {
    const uint64_t arguments[] = {getpid(), getpid(), SIGWINCH, 0};
    memcpy(&r[3], arguments, sizeof arguments);
  }
  if (number_called == SYS_readlink) {
    static char buffer[4096];
    const uint64_t arguments[] = {(uint64_t)name_read, (uint64_t)buffer, sizeof buffer, 0};
    memcpy(&r[3], arguments, sizeof arguments);
    answer_expected = length_read;
  }
  memcpy(registers_expected, r, sizeof r);
  uint64_t found[12];
  long answer;
  uint64_t flags;
  __asm__ volatile(
      "movq %[r], %%r15\n movq %[f], %%r14\n"
      "movq 0(%%r15), %%rbx\n movq 8(%%r15), %%r12\n movq 16(%%r15), %%r13\n"
      "movq 24(%%r15), %%rdi\n movq 32(%%r15), %%rsi\n movq 40(%%r15), %%rdx\n movq 48(%%r15), %%r10\n"
      "movq 56(%%r15), %%r8\n movq 8(%%r15), %%r9\n"
      "subq $256, %%rsp\n"
      "xorl %%eax, %%eax\n cmpl $1, %%eax\n"
      "pushfq\n movq odd_flags(%%rip), %%rax\n orq %%rax, (%%rsp)\n popfq\n"
      "movq number_called(%%rip), %%rax\n"
      "movq %%rsp, rsp_before(%%rip)\n"
      "int3\n"
      ".globl call_begins\ncall_begins:\n"
      "call *where_called(%%rip)\n"
      "int3\n"
      ".globl call_ends\ncall_ends:\n"
      "pushfq\n popq %%rcx\n"
      "pushfq\n andq %[plain], (%%rsp)\n popfq\n"
      "addq $256, %%rsp\n"
      "movq %%rbx, 0(%%r14)\n movq %%r12, 8(%%r14)\n movq %%r13, 16(%%r14)\n movq %%rdi, 24(%%r14)\n"
      "movq %%rsi, 32(%%r14)\n movq %%rdx, 40(%%r14)\n movq %%r10, 48(%%r14)\n movq %%r8, 56(%%r14)\n"
      "movq %%r9, 64(%%r14)\n movq %%r15, 72(%%r14)\n"
      : "=a"(answer), "=c"(flags)
      : [r] "r"(r), [f] "r"(found), [plain] "i"(~ODD)
      : "rbx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
  if (answer != answer_expected) fail("another answer");
  if (is_action && iteration > 0 && old.handler != (iteration % 2 ? handler_two : handler_one))
    fail("rt_sigaction was made twice, or not");
  if (is_served && gs_base != 0) fail("the gs base shows");
  for (int i = 0; i < 8; i++)
    if (found[i] != r[i]) fail("a register is changed");
  if (found[8] != r[1] || found[9] != (uint64_t)r) fail("a register is changed");
  if ((flags & 0x8d5) != 0x95) fail("the flags are changed"); /* of 0 - 1 */
  if ((flags & (ODD | 0x100)) != odd_flags) fail("a flag is left set, or not set");
}

static void check_all(void) {
  if (handled == 0) return; /* the last time */
  if (handled != 1) fail("the handler has run twice");
  if (wrong & 1) fail("a call in the handler was wrong");
  if (wrong & 2) fail("the mask in the handler was wrong");
  if (wrong & 4) {
    fail("the handler saw an address that is not the program's");
    printf("  %#lx\n", (long)rip_seen);
  }
  if (wrong & 8) fail("the handler saw another rsp");
  if (wrong & 16) fail("the handler saw another rax or rcx");
  if (wrong & 32) fail("the handler saw other flags");
  if (wrong & 64) fail("the handler saw other registers");
  if (mask_now() != mask_before) fail("the mask is changed");
}

static void outer(int signal) {
  (void)signal;
  volatile unsigned char canary[512];
  memset((void *)canary, 0x5a, sizeof canary);
  mask_before = mask_now();
  one_call();
  for (unsigned i = 0; i < sizeof canary; i++)
    if (canary[i] != 0x5a) {
      fail("the frame on the alternate stack is overwritten");
      break;
    }
  check_all();
}

/* mov $110, %eax; syscall; ret */
static void call_from_new_code(void) {
  static const unsigned char code[] = {0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xc3};
  void *page = mmap(NULL, sizeof code, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(page, code, sizeof code);
  mprotect(page, sizeof code, PROT_READ | PROT_EXEC);
  where_called = (void (*)(void))page;
  shape = of_new_code;
}

static int child(const char *how) {
  const int alternate = strcmp(how, "alternate") == 0;
  if (strcmp(how, "odd") == 0) odd_flags = ODD;
  if (strcmp(how, "served") == 0) number_called = SYS_arch_prctl;
  if (strcmp(how, "action") == 0) number_called = SYS_rt_sigaction;
  /* Blocked from the start, so that the mask is the same before and behind the call. */
  uint64_t blocked = 0;
  if (strcmp(how, "mask") == 0) {
    number_called = SYS_rt_sigprocmask;
    blocked = 1ull << (SIGWINCH - 1);
  }
  if (strcmp(how, "twice") == 0) {
    is_second = 1;
    signal(SIGWINCH, handler_one);
  }
  if (strcmp(how, "masked") == 0) blocked = 1ull << (SIGSYS - 1);
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, &blocked, NULL, 8);
  if (strcmp(how, "nested") == 0) {
    number_called = SYS_tgkill;
    is_nested = 1;
    signal(SIGWINCH, handler_one);
  }
  if (strcmp(how, "answered") == 0 || strcmp(how, "looked") == 0) {
    static char buffer[4096];
    if (strcmp(how, "looked") == 0) name_read = "/proc/self/cwd";
    number_called = SYS_readlink;
    length_read = readlink(name_read, buffer, sizeof buffer);
  }
  if (strcmp(how, "caught") == 0) call_from_new_code();
  if (strcmp(how, "window") == 0) {
    where_called = call_window;
    shape = of_window;
  }
  if (strcmp(how, "beyond") == 0) {
    where_called = call_beyond;
    shape = of_beyond;
  }
  shape.begins = (uint64_t)where_called;
  static char memory[1 << 16];
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | (alternate ? SA_ONSTACK : 0);
  sigaction(SIGUSR1, &action, NULL);
  if (alternate) {
    stack_t stack = {memory, 0, sizeof memory};
    sigaltstack(&stack, NULL);
    action.sa_flags = SA_ONSTACK;
    action.sa_handler = outer;
    sigaction(SIGUSR2, &action, NULL);
  }
  parent = getppid();
  for (;; iteration++) {
    handled = wrong = 0;
    if (alternate) {
      raise(SIGUSR2);
    } else {
      mask_before = mask_now();
      one_call();
      check_all();
    }
    /* The tracer sends no signal any more: the call was over before. */
    if (handled == 0 || iteration > 5000) break;
  }
  printf("%s: a signal at each of %d instructions, %d failures\n", how, iteration, failures);
  return failures != 0;
}

static uint64_t rip_of(pid_t pid) {
  struct user_regs_struct registers;
  ptrace(PTRACE_GETREGS, pid, 0, &registers);
  return registers.rip;
}

/* A stepped popf leaves TF set, since the kernel takes it for the program's; debuggers clear it. rip. */
static uint64_t clear_trap_flag(pid_t pid) {
  struct user_regs_struct registers;
  ptrace(PTRACE_GETREGS, pid, 0, &registers);
  if ((registers.eflags & 0x100) != 0) {
    registers.eflags &= ~0x100ul;
    ptrace(PTRACE_SETREGS, pid, 0, &registers);
  }
  return registers.rip;
}

/* Poison is a trap of the program's, and goes to its handler. */
static int is_poison(pid_t pid, uint64_t rip) {
  return (ptrace(PTRACE_PEEKTEXT, pid, rip, 0) & 0xff) == 0xf1;
}

/* Lets it run to its next breakpoint, and gives it all signals that come. Its status where it ends. */
static int run_to(pid_t pid, const char *label) {
  int status = 0, signal = 0;
  for (;;) {
    ptrace(PTRACE_CONT, pid, 0, signal);
    if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) return status;
    signal = WSTOPSIG(status);
    if (signal != SIGTRAP) continue;
    if (rip_of(pid) == (uint64_t)label) return -1;
    signal = is_poison(pid, rip_of(pid)) ? SIGTRAP : 0;
  }
}

/* One instruction of the program's own; what comes meanwhile goes to its handlers. Whether it is at the end. */
static int step(pid_t pid, int *status) {
  int signal = 0, is_handled;
  uint64_t after = rip_of(pid);
  do {
    const uint64_t rip = after;
    const int was_at_poison = is_poison(pid, rip);
    ptrace(PTRACE_SINGLESTEP, pid, 0, signal);
    waitpid(pid, status, 0);
    signal = WIFSTOPPED(*status) ? WSTOPSIG(*status) : SIGTRAP;
    after = rip_of(pid);
    /* A caught call's SIGSYS, or poison's SIGTRAP: into its handler. */
    is_handled = signal != SIGTRAP || (was_at_poison && after == rip);
  } while (is_handled);
  return clear_trap_flag(pid) == (uint64_t)call_ends;
}

/* SYSLOAD_BLOCK_TID (loader/abi.h) becomes nobody's. */
static int is_foreign;
static void take_block(pid_t pid) {
  struct user_regs_struct registers;
  ptrace(PTRACE_GETREGS, pid, 0, &registers);
  const long word = ptrace(PTRACE_PEEKDATA, pid, registers.gs_base + 24, 0);
  ptrace(PTRACE_POKEDATA, pid, registers.gs_base + 24, word & 0xffffffff);
}

/* `first`: where another signal comes before; -1: nowhere. Of `each` instructions behind it, one is struck, and with
 * another `first` another one. */
static int trace(char **argv, int first, int each) {
  const pid_t pid = fork();
  int status = 0;
  if (pid == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    execv(argv[0], argv);
    _exit(126);
  }
  waitpid(pid, &status, 0);
  ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL);
  for (int k = first < 0 ? 0 : first % each;; k += each) {
    status = run_to(pid, call_begins);
    if (status != -1) break;
    if (is_foreign) take_block(pid);
    int over = 0;
    for (int i = 0; i < first; i++) over = step(pid, &status);
    if (first >= 0) syscall(SYS_tgkill, pid, pid, SIGWINCH);
    for (int i = 0; i < k && !over; i++) over = step(pid, &status);
    if (over) {
      ptrace(PTRACE_CONT, pid, 0, 0);
      waitpid(pid, &status, 0);
      break;
    }
    syscall(SYS_tgkill, pid, pid, SIGUSR1);
    status = run_to(pid, call_ends);
    if (status != -1) break;
    /* The frame of a signal that was put off and came while this stepped has it, too. */
    if (first >= 0) clear_trap_flag(pid);
  }
  if (WIFSIGNALED(status)) printf("killed by signal %d\n", WTERMSIG(status));
  if (WIFSTOPPED(status)) printf("stopped by signal %d at %#lx\n", WSTOPSIG(status), rip_of(pid));
  kill(pid, SIGKILL);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  is_foreign = argc > 2 && strcmp(argv[1], "foreign") == 0;
  if (argc > 2 && (is_foreign || strcmp(argv[1], "trace") == 0)) return trace(argv + 2, -1, 1);
  if (argc > 4 && strcmp(argv[1], "twice") == 0) return trace(argv + 4, atoi(argv[2]), atoi(argv[3]));
  return child(argc > 2 ? argv[2] : "ordinary");
}
