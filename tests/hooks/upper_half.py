"""Numbers with bits above the lower half, at which the kernel does not look: hooks see such a call as what it is,
and sysload serves it."""

import json
import os
import re
import subprocess
import sys
import tempfile

SYSREWRITE, SYSLOAD = os.environ["SYSREWRITE"], os.environ["SYSLOAD"]

PROGRAM = r"""
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static long call(unsigned long number, long a, long b, long c, long d) {
  long result;
  register long r10 asm("r10") = d;
  asm volatile("syscall" : "=a"(result) : "a"(number | 7UL << 32), "D"(a), "S"(b), "d"(c), "r"(r10)
               : "rcx", "r11", "memory");
  return result;
}
static void parents(int count) { while (count-- > 0) syscall(SYS_getppid); }
int main(int argc, char **argv) {
  char name[4096], *base;
  struct stat file, own;
  int status;
  if (argc > 1) return call(SYS_openat, AT_FDCWD, (long)"/no-such-name/executed", 0, 0) == -1 ? 5 : 4;
  printf("openat %ld\n", call(SYS_openat, AT_FDCWD, (long)"/no-such-name/opened", 0, 0));
  const long size = call(SYS_readlink, (long)"/proc/self/exe", (long)name, sizeof(name) - 1, 0);
  name[size > 0 ? size : 0] = 0;
  base = strrchr(name, '/');
  printf("readlink %s\n", base ? base : name);
  stat(argv[0], &file);
  const long done = call(SYS_stat, (long)"/proc/self/exe", (long)&own, 0, 0);
  printf("stat %ld %d\n", done, file.st_ino == own.st_ino);
  fflush(stdout);
  const long child = call(SYS_fork, 0, 0, 0, 0);
  if (child == 0) {
    parents(500);
    char *words[] = {argv[0], "executed", NULL}, *none[] = {NULL};
    call(SYS_execve, (long)argv[0], (long)words, (long)none, 0);
    _exit(1);
  }
  parents(300);
  waitpid((pid_t)child, &status, 0);
  printf("child %d\n", WEXITSTATUS(status));
  fflush(stdout);
  call(SYS_exit_group, 3, 0, 0, 0);
  return 9;
}
"""


# Counts the calls with our upper half that a tracer sees of a program, among them those that it makes first.
TRACER = r"""
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
static void call(unsigned long number) {
  asm volatile("syscall" : "+a"(number) : : "rcx", "r11", "memory");
}
static void end(long number) {
  register long r10 asm("r10") = 14, r8 asm("r8") = 15, r9 asm("r9") = 16;
  asm volatile("syscall" : : "a"(number), "D"(3), "S"(12), "d"(13), "r"(r10), "r"(r8), "r"(r9));
}
int main(void) {
  const pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    for (int i = 0; i < 10; ++i) call(SYS_getppid | 7UL << 32);
    call(SYS_sched_yield | 0xffffffffUL << 32);
    if (fork() == 0) end(SYS_exit);
    end(SYS_exit_group);
  }
  int status, ended, stops = 0, others = 0, ends = 0;
  struct user_regs_struct registers;
  waitpid(child, &status, 0);
  ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACEFORK);
  ptrace(PTRACE_SYSCALL, child, 0, 0);
  for (pid_t one; (one = waitpid(-1, &status, __WALL)) > 0;) {
    if (!WIFSTOPPED(status)) {
      if (one == child) ended = status;
      continue;
    }
    if (WSTOPSIG(status) == SIGTRAP && ptrace(PTRACE_GETREGS, one, 0, &registers) == 0) {
      stops += registers.orig_rax == (SYS_getppid | 7UL << 32);
      others += registers.orig_rax == (SYS_sched_yield | 0xffffffffUL << 32);
      const int is_end = registers.orig_rax == SYS_exit || registers.orig_rax == SYS_exit_group;
      ends += is_end && registers.rdi == 3 && registers.rsi == 12 && registers.rdx == 13 && registers.r10 == 14 &&
              registers.r8 == 15 && registers.r9 == 16;
    }
    ptrace(PTRACE_SYSCALL, one, 0, 0);
  }
  printf("%d stops, %d others, %d ends, status %d\n", stops, others, ends, WEXITSTATUS(ended));
  return 0;
}
""".replace("SIGTRAP", "5").replace("#include <stdio.h>", "#include <signal.h>\n#include <stdio.h>", 1)

ROW = re.compile(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", re.MULTILINE)


def check(good, sentence, *more):
    print("ok:" if good else "FAILED:", sentence)
    if not good:
        print(*more, sep="\n")
    return not good


def run(command, folder):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)


def hooked(folder, program, *hooks):
    options = [word for hook in hooks for word in ("--hook", hook)]
    return run([SYSREWRITE, "run", "-q", "--loader", SYSLOAD, *options, "--", program], folder)


def read(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return file.read()


def one_program(folder, name):
    program = os.path.join(folder, name)
    native = run([program], folder)
    failed = check(native.returncode == 3 and "openat -2" in native.stdout, f"{name}: the kernel makes such calls", native)

    plain = hooked(folder, program)
    same = (plain.returncode, plain.stdout) == (native.returncode, native.stdout)
    failed += check(same, f"{name}: without hooks as natively", native, plain)

    hooked(folder, program, "files:format=json:output=records")
    records = [json.loads(line) for line in read(folder, "records").splitlines()]
    missing = {record["path"] for record in records if record["kind"] == "missing"}
    failed += check({"/no-such-name/opened", "/no-such-name/executed"} <= missing, f"{name}: files sees them", missing)

    hooked(folder, program, "trace:filter=openat,fork,execve:output=lines")
    lines = read(folder, "lines")
    expected = [r'openat\(AT_FDCWD, "/no-such-name/opened"', r"fork\(\) += \d+", "execve", '"/no-such-name/executed"']
    failed += check(all(re.search(line, lines) for line in expected), f"{name}: trace's filter sees them", lines)

    with open(os.path.join(folder, "policy"), "w", encoding="utf-8") as file:
        file.write("deny EPERM openat path under /no-such-name\n")
    denied = hooked(folder, program, "deny:policy=policy")
    failed += check("openat -1\n" in denied.stdout and "child 5\n" in denied.stdout, f"{name}: deny denies them", denied)

    hooked(folder, program, "count:each:output=table")
    tables = read(folder, "table").split("sysload: system calls of ")[1:]
    counts = [{call: int(calls) for calls, call in ROW.findall(table)} for table in tables]
    found = sorted(table.get("getppid", 0) for table in counts)
    failed += check(found[-1] == 800 and 500 in found and 300 in found and counts[-1].get("fork") == 1,
                    f"{name}: count has a table for the child", tables)
    return failed


def as_traced(folder):
    """What a hook leaves as it is has its upper half in orig_rax, and all arguments where a process ends, whoever makes
    the call."""
    source, tracer = os.path.join(folder, "tracer.c"), os.path.join(folder, "tracer")
    with open(source, "w", encoding="utf-8") as file:
        file.write(TRACER)
    subprocess.run(["gcc", "-O1", "-w", "-o", tracer, source], check=True)
    native = run([tracer], folder)
    failed = check(native.stdout == "20 stops, 2 others, 2 ends, status 3\n", "a tracer sees upper halves", native)
    for hooks in ((), ("pass",), ("pass:entry:exit",), ("count", "pass:entry:exit"), ("count:output=table",)):
        hooked_one = hooked(folder, tracer, *hooks)
        failed += check(hooked_one.stdout == native.stdout, f"likewise under {hooks}", hooked_one)
    return failed


def main():
    failed = 0
    with tempfile.TemporaryDirectory(prefix="sysrewrite-upper-") as folder:
        source = os.path.join(folder, "upper.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write(PROGRAM)
        for name, flags in (("dynamic", []), ("static", ["-static"])):
            subprocess.run(["gcc", "-O1", "-w", *flags, "-o", os.path.join(folder, name), source], check=True)
            failed += one_program(folder, name)
        failed += as_traced(folder)
    sys.exit(1 if failed else 0)


main()
