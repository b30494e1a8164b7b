// What siginfo says of where: faults, steps and filters.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
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

int main(int argc, char** argv) {
  setvbuf(stdout, 0, _IONBF, 0);
  memory = mmap(0, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(memory, 8192, PROT_READ | PROT_WRITE);
  in_windows();
  in_steps();
  by_filter();
  return 0;
}
