// What a debugger finds when the kernel stops a program that it has just started: fork,
// PTRACE_TRACEME, execve, and the SIGTRAP that follows.
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned long auxiliary(int child, unsigned long wanted) {
  char path[64];
  unsigned long entry[2] = {0, 0};
  snprintf(path, sizeof(path), "/proc/%d/auxv", child);
  int file = open(path, O_RDONLY);
  while (read(file, entry, sizeof(entry)) == sizeof(entry) && entry[0] != AT_NULL)
    if (entry[0] == wanted) break;
  close(file);
  return entry[0] == wanted ? entry[1] : 0;
}

static long word(int child, unsigned long address) {
  return ptrace(PTRACE_PEEKDATA, child, address, 0);
}

// Where the interpreter starts, or the program where it has none.
static unsigned long first_instruction(int child) {
  unsigned long base = auxiliary(child, AT_BASE);
  if (base == 0) return auxiliary(child, AT_ENTRY);
  return base + (unsigned long)word(child, base + offsetof(Elf64_Ehdr, e_entry));
}

static void show(int child) {
  struct user_regs_struct r;
  struct user_fpregs_struct f;
  ptrace(PTRACE_GETREGS, child, 0, &r);
  ptrace(PTRACE_GETFPREGS, child, 0, &f);
  printf("at its first instruction: %d\n", r.rip == first_instruction(child));
  printf("general registers: %llx\n", r.rax | r.rbx | r.rcx | r.rdx | r.rsi | r.rdi | r.rbp | r.r8 | r.r9 | r.r10 |
                                          r.r11 | r.r12 | r.r13 | r.r14 | r.r15);
  printf("flags %llx, cs %llx, ss %llx, ds %llx, fs %llx, gs %llx, fs base %llx, gs base %llx\n", r.eflags, r.cs, r.ss,
         r.ds, r.fs, r.gs, r.fs_base, r.gs_base);
  printf("x87 %x, mxcsr %x\n", f.cwd, f.mxcsr);
  printf("arguments: %ld, %s\n", word(child, r.rsp), r.rsp % 16 == 0 ? "aligned" : "not aligned");
  unsigned long name = (unsigned long)word(child, r.rsp + 8);
  long text = word(child, name);
  printf("name: %.7s\n", (char*)&text);
  // The program's own first instruction and headers are there to be read, and to be written over.
  unsigned long headers = auxiliary(child, AT_PHDR), entry = auxiliary(child, AT_ENTRY);
  printf("headers: %lx\n", word(child, headers) & 0xffffffff);
  long code = word(child, entry);
  printf("breakpoint: %ld\n", ptrace(PTRACE_POKEDATA, child, entry, (code & ~0xffl) | 0xcc));
  int status;
  ptrace(PTRACE_CONT, child, 0, 0);
  waitpid(child, &status, 0);
  ptrace(PTRACE_GETREGS, child, 0, &r);
  printf("stopped by %d, at the breakpoint: %d\n", WSTOPSIG(status), r.rip == entry + 1);
  ptrace(PTRACE_POKEDATA, child, entry, code);
  r.rip = entry;
  ptrace(PTRACE_SETREGS, child, 0, &r);
}

int main(int argc, char** argv) {
  for (int blocked = 0; blocked < 2; ++blocked) {
    int child = fork();
    if (child == 0) {
      sigset_t all;
      sigfillset(&all);
      if (blocked) sigprocmask(SIG_SETMASK, &all, 0);
      ptrace(PTRACE_TRACEME, 0, 0, 0);
      execv(argv[1], argv + 1);
      _exit(1);
    }
    int status;
    waitpid(child, &status, 0);
    if (!blocked) {
      printf("stopped by %d\n", WIFSTOPPED(status) ? WSTOPSIG(status) : -1);
      show(child);
      ptrace(PTRACE_CONT, child, 0, 0);
      waitpid(child, &status, 0);
    }
    printf("exited: %d, status %d\n", WIFEXITED(status), WEXITSTATUS(status));
    fflush(stdout);
  }
  return 0;
}
