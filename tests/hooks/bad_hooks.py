"""Hooks that go wrong: each ends the program with a line that names it, and nothing of the program's is lost or changed.

The program writes numbered lines into a file, one write each. The hook goes wrong at the hundredth: the file must hold
the lines before that, whole, and nothing else.
"""

import os
import subprocess
import sys
import tempfile

SYSREWRITE, SYSLOAD = os.environ["SYSREWRITE"], os.environ["SYSLOAD"]
INCLUDE = os.path.join(os.environ["SYSREWRITE_SOURCE"], "loader", "include")

PROGRAM = r"""
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static void *run(void *argument) {
  (void)argument;
  int fd = open("out", O_WRONLY | O_CREAT | O_TRUNC, 0644);
  for (int i = 1; i <= 1000; i++) {
    char line[32];
    if (write(fd, line, snprintf(line, sizeof line, "line %d\n", i)) < 0) return "write";
  }
  return NULL;
}
int main(int argc, char **argv) {
  (void)argv;
  pthread_t thread;
  if (argc == 1) return run(NULL) != NULL;
  pthread_create(&thread, NULL, run, NULL);
  pthread_join(thread, NULL);
  return 0;
}
"""

HOOK = r"""
#include <sysload/hook.h>
static int count;
%s
static enum sysload_verdict entry(struct sysload_hook *hook, struct sysload_thread *thread,
                                  struct sysload_call *call) {
  (void)hook, (void)thread, (void)call;
  if (++count == 100) { %s }
  return SYSLOAD_PASS;
}
int sysload_hook_init(struct sysload_hook *hook) {
  hook->entry = entry;
  sysload_want_entry(hook, 1);
  return 0;
}
"""

DEEP = """
static int deep(volatile int *from, int depth) {
  volatile int here[64];
  here[depth % 64] = *from + depth;
  return deep(here, depth + 1) + here[7];
}
"""
# What goes wrong: what stands before the function, what it does, and what the line says.
WRONG = {
    "reads nothing": ("", "(void)*(volatile int *)8;", "touches memory that is not there"),
    "writes to itself": ("", "*(volatile char *)entry = 1;", "touches memory that is not there"),
    "jumps to nowhere": ("", "((void (*)(void))16)();", "touches memory that is not there"),
    "divides by zero": ("", "volatile int zero = 0; count /= zero;", "divides by zero"),
    "is no instruction": ("", "__builtin_trap();", "executes what is no instruction"),
    "recurses for ever": (DEEP, "volatile int start = 1; count += deep(&start, 0);", "its stack of 49152 bytes is used up"),
}


def run(command, folder, **environment):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL, env={**os.environ, **environment})


def loops(folder, build):
    """A hook that never comes back is named, while the program hangs in it."""
    build("loops.so", HOOK % ("", "for (;;) __asm__ volatile(\"\");"), "-O1", "-w", "-shared", "-fPIC", "-ffreestanding",
          "-nostdlib", "-mgeneral-regs-only", "-I", INCLUDE)
    running = subprocess.Popen([SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", "./loops.so", "--", "./program"],
                               cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True)
    line = running.stderr.readline()
    os.killpg(running.pid, 9)
    running.wait()
    good = "loops.so has not come back for 5 seconds, in thread " in line and line.endswith(", call write\n")
    print("ok: a hook that never comes back" if good else f"FAILED: a hook that never comes back\n{line}")
    return not good


def main():
    failed = 0
    with tempfile.TemporaryDirectory(prefix="sysrewrite-bad-hooks-") as folder:
        def build(name, source, *flags):
            with open(os.path.join(folder, name + ".c"), "w", encoding="utf-8") as file:
                file.write(source)
            subprocess.run(["gcc", "-o", name, name + ".c", *flags], cwd=folder, check=True)

        build("program", PROGRAM, "-O1", "-static", "-pthread")
        subprocess.run([SYSREWRITE, "-q", "--interp", SYSLOAD, "program", "rewritten"], cwd=folder, check=True)
        for i, (what, (before, does, says)) in enumerate(WRONG.items()):
            build(f"hook{i}.so", HOOK % (before, does), "-O1", "-w", "-shared", "-fPIC", "-ffreestanding", "-nostdlib",
                  "-mgeneral-regs-only", "-fno-optimize-sibling-calls", "-I", INCLUDE)
            hook = f"./hook{i}.so"
            for sentence, command, environment in (
                    ("by itself", ["./rewritten"], {"SYSLOAD_HOOK": hook}),
                    ("in a thread", ["./rewritten", "thread"], {"SYSLOAD_HOOK": hook}),
                    ("under run", [SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", hook, "--", "./program"], {})):
                done = run(command, folder, **environment)
                with open(os.path.join(folder, "out"), encoding="utf-8") as file:
                    lines = file.read()
                lines_right = lines == "".join(f"line {n}\n" for n in range(1, 100))
                named = f"hook{i}.so: {says}" in done.stderr and done.stderr.count("\n") == 1
                if done.returncode == 127 and named and lines_right:
                    print(f"ok: a hook that {what}, {sentence}")
                    continue
                failed += 1
                print(f"FAILED: a hook that {what}, {sentence}: status {done.returncode}, lines "
                      f"{'right' if lines_right else 'wrong: ' + lines[-200:]}\n{done.stderr}")
        failed += loops(folder, build)
    sys.exit(1 if failed else 0)


main()
