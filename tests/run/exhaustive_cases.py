"""`--exhaustive`: calls of code that nobody rewrote are caught, seen and counted."""
import os
import re

from comparison import (FULL, PYTHON, build, check, counts, environment, same, source_of, tool, under_run)

# Code made at run time: getpid, from five threads, a child of fork and one of vfork.
JIT = r"""
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
static long (*jit)(void);
static void* many(void* p) { for (int i = 0; i < 100; i++) jit(); return p; }
int main(void) {
  unsigned char code[] = {0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3};
  void* m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(m, code, sizeof code);
  mprotect(m, 4096, PROT_READ | PROT_EXEC);
  jit = m;
  int bad = 0, status[2];
  for (int i = 0; i < 100; i++) bad += jit() != getpid();
  pthread_t thread[4];
  for (int i = 0; i < 4; i++) pthread_create(&thread[i], 0, many, 0);
  for (int i = 0; i < 4; i++) pthread_join(thread[i], 0);
  pid_t child = fork();
  if (child == 0) _exit(jit() != getpid());
  waitpid(child, &status[0], 0);
  child = vfork();
  if (child == 0) _exit(jit() == child);
  waitpid(child, &status[1], 0);
  printf("bad %d %d %d\n", bad, status[0], status[1]);
  return bad;
}
"""
CAUGHT = 502

# What a call must leave as it was, asked of code made at run time: all registers, flags, DF.
STATE = r"""
#include <stdio.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
struct state { uint64_t r[16], flags; };
static struct state before, after;
extern char code[], call[], code_end[];
asm(".text\n"
    ".globl code, call, code_end\n"
    "code: push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "movq %rdi, %r12; movq %rsi, %r13\n"
    "movq $39, %rax; movabs $0x1111111111111111, %rbx; movabs $0x2222222222222222, %rdx\n"
    "movabs $0x3333333333333333, %rsi; movabs $0x4444444444444444, %rdi\n"
    "movabs $0x5555555555555555, %rbp; movabs $0x6666666666666666, %r8\n"
    "movabs $0x7777777777777777, %r9; movabs $0x8888888888888888, %r10\n"
    "movabs $0x9999999999999999, %r14; movabs $0xaaaaaaaaaaaaaaaa, %r15\n"
    "movq $0x1234567812345678, %r11; push %r11; push $0xcd7; popfq\n"
    "call: ud2\n"  // the copy gets a syscall, which must not stand in the file
    "pushfq; popq 128(%r13); cld\n"
    "movq %rax, (%r13); movq %rbx, 8(%r13); movq %rdx, 24(%r13); movq %rsi, 32(%r13)\n"
    "movq %rdi, 40(%r13); movq %rbp, 48(%r13); movq %r8, 64(%r13); movq %r9, 72(%r13)\n"
    "movq %r10, 80(%r13); movq %r11, 88(%r13); movq %r14, 112(%r13); movq %r15, 120(%r13)\n"
    "popq 96(%r13)\n"
    "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx; ret\n"
    "code_end:\n");
int main(void) {
  void* m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(m, code, code_end - code);
  ((char*)m)[call - code + 1] = 5;
  mprotect(m, 4096, PROT_READ | PROT_EXEC);
  ((void (*)(void*, void*))m)(&before, &after);
  for (int i = 1; i < 16; i++) printf("%d %lx\n", i, after.r[i]);
  printf("flags %lx\n", after.flags);
  return 0;
}
"""

# Without the kernel's help there is one line, and no program.
REFUSED = r"""
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char** argv) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 59, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 22),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {6, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &program)) return 99;
  execv(argv[1], argv + 1);
  return 98;
}
"""

# siglongjmp out of more calls than there are slots for them.
LONGJMPS = r"""
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <errno.h>
#include <sys/time.h>
#include <unistd.h>
static sigjmp_buf back;
static void leave(int s) { siglongjmp(back, s); }
static void* nothing(void* p) { return p; }
int main(void) {
  struct sigaction action = {.sa_handler = leave};
  sigaction(SIGALRM, &action, 0);
  struct itimerval soon = {{0, 0}, {0, 30}};
  for (volatile int i = 0; i < 5000; i++) {
    if (sigsetjmp(back, 1) == 0) { setitimer(ITIMER_REAL, &soon, 0); for (;;) pause(); }
  }
  pthread_t thread;
  int error = pthread_create(&thread, 0, nothing, 0);
  if (error == 0) pthread_join(thread, 0);
  puts(error == 0 || error == EAGAIN ? "well" : strerror(error));
  return 0;
}
"""


def case_exhaustive_catches(runner):
    def prepare(folder):
        build(folder, "jit", JIT, "-lpthread")

    folder = runner.folder(prepare)
    outcome = runner.execute(under_run(["./jit"], "--exhaustive"), folder)
    check(outcome.status == 0 and outcome.stdout == "bad 0 0 0\n", str(outcome))
    lines = re.findall(r"^ *(\d+)  at (0x[0-9a-f]+)  (\w+)", outcome.stderr, re.MULTILINE)
    check([(int(calls), name) for calls, _, name in lines] == [(CAUGHT, "getpid")], str(outcome))
    check(re.search(rf"^sysload: {CAUGHT} system calls of \d+ from code that was not rewritten:$",
                    outcome.stderr, re.MULTILINE), str(outcome))
    # Through the hook as well: libc's own 100, and a few.
    outcome = runner.execute(under_run(["./jit"], "--exhaustive", "--hook", "count"), folder)
    getpid = max(calls.get("getpid", 0) for _, calls in counts(outcome.stderr))
    check(CAUGHT + 100 <= getpid <= CAUGHT + 110, str(outcome))
    # Otherwise nobody sees them.
    outcome = runner.execute(under_run(["./jit"], "--hook", "count"), folder)
    getpid = max(calls.get("getpid", 0) for _, calls in counts(outcome.stderr))
    check(0 < getpid <= 110, str(outcome))


def case_exhaustive_i386_calls(runner):
    """`int $0x80` has numbers of its own: what is caught of it is made as it is, and counted apart."""
    def prepare(folder):
        build(folder, "dynamic", source_of("i386_calls"), "-lpthread")
        build(folder, "static", source_of("i386_calls"), "-lpthread", "-static")

    for kind in ("dynamic", "static"):
        for options in ((), ("--exhaustive",), ("--exhaustive", "--hook", "pass:entry:exit")):
            ours = same(runner, [f"./{kind}"], prepare=prepare, options=options, stderr=False)
            lines = re.findall(r"^ *(\d+)  at 0x[0-9a-f]+  int \$0x80, which no hook sees, eax (\d+)", ours.stderr, re.MULTILINE)
            check(len(lines) == (1 if options else 0) and all(int(calls) > 60000 and eax == "20" for calls, eax in lines),
                  str(ours))


def case_exhaustive_keeps_state(runner):
    def prepare(folder):
        build(folder, "state", STATE)

    folder = runner.folder(prepare)
    native = runner.execute(["./state"], folder)
    ours = runner.execute(under_run(["./state"], "--exhaustive"), folder)
    check(native.status == 0 and "flags ed7\n" in native.stdout, str(native))
    check(ours.stdout == native.stdout and "1 system calls of" in ours.stderr, f"{native}{ours}")


def case_exhaustive_runs_programs(runner):
    def prepare(folder):
        build(folder, "musl", '#include <stdio.h>\nint main(void) { puts("musl"); return 3; }',
              compiler="musl-gcc")
        build(folder, "longjmps", LONGJMPS, "-lpthread")

    threads = ("import threading, subprocess, os, signal\n"
               "r = []\n"
               "t = [threading.Thread(target=lambda i=i: r.append(subprocess.run(['sh', '-c', "
               "f'exit {i}']).returncode)) for i in range(20)]\n"
               "[x.start() for x in t]; [x.join() for x in t]\n"
               "print(sorted(r))\n"
               "signal.signal(signal.SIGALRM, lambda *a: print('alarm')); signal.alarm(1); "
               "signal.pause()\n"
               "print(os.popen('echo popen').read())\n")
    java = "class A { public static void main(String[] a) { System.out.println(\"java\"); } }"

    def prepare_java(folder):
        with open(os.path.join(folder, "A.java"), "w", encoding="ascii") as file:
            file.write(java)

    for command, status in ((["bash", "-c", "for i in 1 2 3; do echo $i | cat; done; exit 4"], 4),
                            (["./musl"], 3), ([PYTHON, "-c", threads], 0), (["./longjmps"], 0),
                            (["perl", "-e", "print `echo perl`; exit 6"], 6),
                            (["git", "--version"], 0),
                            (["sh", "-c", "kill -TERM $$"], 143)):
        same(runner, command, prepare=prepare, status=status, options=["--exhaustive"])
    same(runner, [tool("node"), "-e",
                  "console.log(require('child_process').execSync('echo node').toString())"],
         options=["--exhaustive"], stderr=False)
    if FULL:
        same(runner, [tool("java"), "A.java"], prepare=prepare_java, options=["--exhaustive"],
             stderr=False)


def case_exhaustive_refused(runner):
    def prepare(folder):
        build(folder, "refuse", REFUSED)

    folder = runner.folder(prepare)
    outcome = runner.execute(["./refuse", *under_run(["/bin/echo", "x"], "--exhaustive")], folder,
                             env=environment(folder))
    check(outcome.status == 127 and outcome.stdout == "" and outcome.stderr ==
          "sysload: exhaustive: the kernel has no Syscall User Dispatch (Linux 5.11 and later have); "
          "run without --exhaustive: EINVAL\n", str(outcome))
