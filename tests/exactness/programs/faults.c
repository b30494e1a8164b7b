// What kills a program, and what siginfo says of where: faults, filters, steps, and forged signals.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static sigjmp_buf back;
static char* memory;  // 16 pages: two to be written, the others without access
static char* site;

static void handle(int signal, void (*handler)(int, siginfo_t*, void*), int flags) {
  struct sigaction action = {0};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | flags;
  sigaction(signal, &action, 0);
}

// --- Where it was ---

static void show(int signal, siginfo_t* info, void* context) {
  ucontext_t* where = context;
  const char* rip = (char*)where->uc_mcontext.gregs[REG_RIP];
  printf("signal %d, code %d, address %ld, rip %ld\n", signal, info->si_code,
         (long)((char*)info->si_addr - (signal == SIGSEGV ? memory : site)), (long)(rip - site));
  siglongjmp(back, 1);
}

// Each fault is that of an instruction in a window.
extern char divides[], divides_vector[], loads[];
int divisor = 1;
float zeros[4] __attribute__((aligned(16))), ones[4] __attribute__((aligned(16))) = {1, 1, 1, 1};
int* pointer = &divisor;
__attribute__((noinline)) static long divide(void) {
  long result;
  __asm__ volatile(
      "xor %%edx, %%edx; mov $39, %%eax\n"
      "divides: idivl divisor(%%rip); syscall"
      : "=a"(result)::"rdx", "rcx", "r11", "memory");
  return result;
}
__attribute__((noinline)) static void divide_vector(void) {
  __asm__ volatile(
      "movaps ones(%%rip), %%xmm0; mov $39, %%eax\n"
      "divides_vector: divps zeros(%%rip), %%xmm0; syscall" ::
          : "rax", "rcx", "r11", "memory", "xmm0");
}
__attribute__((noinline)) static void load(void) {
  __asm__ volatile(
      "mov pointer(%%rip), %%rsi; mov $39, %%eax\n"
      "loads: movl 16(%%rsi), %%edx; nop; syscall" ::
          : "rax", "rcx", "rdx", "rsi", "r11", "memory");
}

static void in_windows(void) {
  const unsigned all_exceptions = 0x1d00;
  handle(SIGFPE, show, SA_NODEFER);
  handle(SIGSEGV, show, SA_NODEFER);
  printf("divided: %d\n", divide() == getpid());
  divisor = 0;
  site = divides;
  if (!sigsetjmp(back, 1)) divide();
  __asm__ volatile("ldmxcsr %0" ::"m"(all_exceptions));
  site = divides_vector;
  if (!sigsetjmp(back, 1)) divide_vector();
  pointer = (int*)(memory + 3 * 4096);
  site = loads;
  if (!sigsetjmp(back, 1)) load();
}

static void filtered(int signal, siginfo_t* info, void* context) {
  ucontext_t* where = context;
  char* rip = (char*)where->uc_mcontext.gregs[REG_RIP];
  printf("filtered: code %d, call %d, address is %s\n", info->si_code, info->si_syscall,
         (char*)info->si_call_addr == rip ? "rip" : "another");
  where->uc_mcontext.gregs[REG_RAX] = 7;
}

// Of linux/filter.h and linux/seccomp.h, which are not there for musl-gcc.
enum { kLoad = 0x20, kIsEqual = 0x15, kReturn = 6, kTrap = 0x00030000, kAllow = 0x7fff0000, kFilterMode = 2 };
struct Instruction {
  uint16_t code;
  uint8_t then, otherwise;
  uint32_t operand;
};
struct Program {
  uint16_t size;
  struct Instruction* instructions;
};

static void by_filter(void) {
  // rt_sigaction of signal 60 is the program's call that sysload makes in its own way.
  struct Instruction filter[] = {{kLoad, 0, 0, 0},  // the call's number
                                 {kIsEqual, 3, 0, SYS_getuid},
                                 {kIsEqual, 0, 3, SYS_rt_sigaction},
                                 {kLoad, 0, 0, 16},  // its first argument
                                 {kIsEqual, 0, 1, 60},
                                 {kReturn, 0, 0, kTrap},
                                 {kReturn, 0, 0, kAllow}};
  struct Program program = {sizeof filter / sizeof *filter, filter};
  long result;
  handle(SIGSYS, filtered, 0);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (prctl(PR_SET_SECCOMP, kFilterMode, &program) != 0) perror("seccomp");
  printf("result %d\n", (int)getuid());
  __asm__ volatile("mov $102, %%eax; syscall" : "=a"(result)::"rcx", "r11", "memory");
  printf("result %ld\n", result);
  printf("result %ld\n", syscall(SYS_rt_sigaction, 60, 0, 0, 8));
}

static int steps, steps_elsewhere;
static void step(int signal, siginfo_t* info, void* context) {
  ucontext_t* where = context;
  if (info->si_code != TRAP_TRACE || (long)info->si_addr != where->uc_mcontext.gregs[REG_RIP]) ++steps_elsewhere;
  if (++steps == 2) where->uc_mcontext.gregs[REG_EFL] &= ~0x100;
}

// The second step is in the window. A call itself is not stepped.
static void in_steps(void) {
  long result;
  handle(SIGTRAP, step, 0);
  __asm__ volatile(
      "lea -128(%%rsp), %%rsp; pushf; orl $0x100, (%%rsp); popf; nop\n"
      "mov $39, %%eax; syscall; lea 128(%%rsp), %%rsp"
      : "=a"(result)::"rcx", "r11", "memory", "cc");
  printf("stepped: %d, number %d, elsewhere %d\n", steps, result == getpid(), steps_elsewhere);
}

// --- What is fatal ---

extern char faults_here[], interrupts_here[];
static void bad_frame(void) {
  __asm__ volatile("mov %%rsp, %%rbx; mov %0, %%rsp; mov $15, %%eax; syscall; mov %%rbx, %%rsp" ::"r"(memory + 32768)
                   : "rax", "rcx", "r11", "rbx", "memory");
}
static void fault(void) { __asm__ volatile("faults_here: movl $1, (%0)" ::"r"(memory + 8192) : "memory"); }
__attribute__((noinline)) static void overflow_interrupt(void) { __asm__ volatile("int $4; interrupts_here:"); }
static void breakpoint(void) { __asm__ volatile("int3"); }
static void privileged(void) { __asm__ volatile("hlt"); }
static void no_instruction(void) { __asm__ volatile("ud2"); }
static void no_address(void) { *(volatile int*)0x8000000000001234 = 1; }
static void forge(int signal, int code) {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  info.si_signo = signal;
  info.si_code = code;
  info.si_addr = (void*)0x1234;
  syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), signal, &info);
}
static void forged_segv(void) { forge(SIGSEGV, SEGV_ACCERR); }
static void forged_bus(void) { forge(SIGBUS, BUS_ADRERR); }
static void forged_kernel(void) { forge(SIGSEGV, SI_KERNEL); }
static void forged_trap(void) { forge(SIGTRAP, TRAP_BRKPT); }
static void forged_fpe(void) { forge(SIGFPE, FPE_INTDIV); }
static void forged_ill(void) { forge(SIGILL, ILL_ILLOPC); }
static void sent(void) { kill(getpid(), SIGSEGV); }
// Blocked but for the time of a call, whose frame gives the mask back.
static void in_suspended_call(void) {
  sigset_t set, none;
  sigemptyset(&none);
  sigemptyset(&set);
  sigaddset(&set, SIGSEGV);
  sigprocmask(SIG_BLOCK, &set, 0);
  forge(SIGSEGV, SEGV_MAPERR);
  sigsuspend(&none);
}

static const struct {
  const char* name;
  void (*function)(void);
} kDeaths[] = {{"a frame that cannot be read", bad_frame},
               {"a fault", fault},
               {"int $4", overflow_interrupt},
               {"int3", breakpoint},
               {"hlt", privileged},
               {"ud2", no_instruction},
               {"an address that is none", no_address},
               {"forged SIGSEGV", forged_segv},
               {"forged SIGBUS", forged_bus},
               {"forged SIGSEGV of the kernel", forged_kernel},
               {"forged SIGTRAP", forged_trap},
               {"forged SIGFPE", forged_fpe},
               {"forged SIGILL", forged_ill},
               {"sent", sent},
               {"in a suspended call", in_suspended_call}};
enum { kDeathCount = sizeof kDeaths / sizeof *kDeaths };

// The kernel takes what is blocked, and has the code of a fault, for the fault that comes next. Source: linux,
// kernel/signal.c, dequeue_synchronous_signal(). Where sysload lives by traps alone, that is at the next call.
static int is_at_odds_with_traps(int way, void (*death)(void)) {
  const int is_forged = death == forged_segv || death == forged_bus || death == forged_kernel ||
                        death == forged_trap || death == forged_fpe || death == forged_ill;
  return death == in_suspended_call || (is_forged && way == 2) || (death == forged_trap && way == 1);
}

static void jump(int signal, siginfo_t* info, void* context) { siglongjmp(back, 1); }

// By the default action, by that of SIG_IGN, while blocked, and in a handler that is reset.
static void die(int way, void (*death)(void)) {
  const int signals[] = {SIGSEGV, SIGTRAP, SIGBUS, SIGILL, SIGFPE};
  sigset_t set;
  sigemptyset(&set);
  for (int i = 0; i < 5; ++i) {
    if (way == 1) signal(signals[i], SIG_IGN);
    if (way == 2) sigaddset(&set, signals[i]);
    if (way == 3) handle(signals[i], jump, SA_RESETHAND | SA_NODEFER);
  }
  sigprocmask(SIG_BLOCK, &set, 0);
  if (way == 1 && death == in_suspended_call) _exit(0);  // which nothing would end
  if (way == 3 && sigsetjmp(back, 1) == 0) death();
  death();
  printf("  went on\n");
  _exit(0);
}

// Where it is when it dies, which a core file shows, is seen by a tracer.
static void die_traced(const char* name, void (*death)(void), char* place) {
  int status;
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_DUMPABLE, 1);
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    death();
    _exit(0);
  }
  waitpid(child, &status, 0);
  ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL);
  ptrace(PTRACE_CONT, child, 0, 0);
  while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
    const int is_end = status >> 16 == PTRACE_EVENT_EXIT;
    if (is_end) {
      struct user_regs_struct registers;
      ptrace(PTRACE_GETREGS, child, 0, &registers);
      printf("%s: dies at %ld\n", name, (long)(registers.rip - (uintptr_t)place));
    }
    ptrace(PTRACE_CONT, child, 0, is_end ? 0 : WSTOPSIG(status));
  }
  printf("  signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
}

// A handler that wants an alternate stack, and there is none.
static void handled(int signal, siginfo_t* info, void* context) {
  printf("handled: signal %d, code %d\n", signal, info->si_code);
}
static void without_alternate_stack(void) {
  handle(SIGSEGV, handled, SA_ONSTACK);
  handle(SIGBUS, handled, SA_ONSTACK);
  overflow_interrupt();
  forged_segv();
  forged_bus();
  signal(SIGSEGV, SIG_DFL);
  signal(SIGBUS, SIG_DFL);
}

static void deaths(int by_traps) {
  without_alternate_stack();
  for (int way = 0; way < 4; ++way)
    for (int i = 0; i < kDeathCount; ++i) {
      if (by_traps && is_at_odds_with_traps(way, kDeaths[i].function)) continue;
      printf("%s, way %d\n", kDeaths[i].name, way);
      const pid_t child = fork();
      if (child == 0) {
        prctl(PR_SET_DUMPABLE, 0);
        alarm(20);
        die(way, kDeaths[i].function);
      }
      int status;
      waitpid(child, &status, 0);
      printf("  status %x\n", status);
    }
  die_traced("a fault", fault, faults_here);
  die_traced("int $4", overflow_interrupt, interrupts_here);
}

int main(int argc, char** argv) {
  setvbuf(stdout, 0, _IONBF, 0);
  memory = mmap(0, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(memory, 8192, PROT_READ | PROT_WRITE);
  if (strcmp(argv[1], "deaths") == 0) {
    deaths(argc > 2);
    return 0;
  }
  in_windows();
  in_steps();
  by_filter();
  return 0;
}
