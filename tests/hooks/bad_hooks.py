"""Hooks that go wrong: each ends the program with a line that names it, and nothing of the program's is lost or changed.

The program writes numbered lines into a file, one write each. The hook goes wrong at the hundredth: the file must hold
the lines before that, whole, and nothing else.
"""

import os
import select
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

HOOK_FLAGS = ("-O1", "-w", "-shared", "-fPIC", "-ffreestanding", "-nostdlib", "-mgeneral-regs-only",
              "-fno-optimize-sibling-calls", "-I", INCLUDE)
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


# Begins and ends a thread and a child, whose status it returns.
BEGINNINGS = r"""
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void *nothing(void *argument) { return argument; }
int main(int argc, char **argv) {
  sigset_t all;
  pthread_t thread;
  int status;
  sigfillset(&all);
  if (argc > 1) sigprocmask(SIG_BLOCK, &all, NULL);
  pthread_create(&thread, NULL, nothing, NULL);
  pthread_join(thread, NULL);
  if (fork() == 0) _exit(3);
  wait(&status);
  return WEXITSTATUS(status);
}
"""

# The signal of a fault, sent, while hooks are told of threads and children: blocked it waits, and open it arrives.
SENT = r"""
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static volatile int arrived, wrong;
static void count(int number, siginfo_t *info, void *context) { arrived++; wrong += info->si_code != SI_USER; }
static void *nothing(void *argument) { return argument; }
static void begin(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, nothing, NULL);
  pthread_join(thread, NULL);
  if (fork() == 0) _exit(0);
  while (wait(NULL) < 0) {}
}
int main(void) {
  struct sigaction action = {.sa_sigaction = count, .sa_flags = SA_SIGINFO | SA_RESTART};
  sigset_t faults, set;
  sigaction(SIGSEGV, &action, NULL);
  sigemptyset(&faults);
  sigaddset(&faults, SIGSEGV);
  sigprocmask(SIG_BLOCK, &faults, NULL);
  kill(getpid(), SIGSEGV);
  for (int i = 0; i < 20; i++) begin();
  sigpending(&set);
  if (arrived != 0 || !sigismember(&set, SIGSEGV)) return 2;
  sigprocmask(SIG_UNBLOCK, &faults, NULL);
  if (arrived != 1) return 3;
  pid_t parent = getpid(), sender = fork();
  if (sender == 0) for (;;) kill(parent, SIGSEGV);
  for (int i = 0; i < 300; i++) {
    pthread_t thread;
    pthread_create(&thread, NULL, nothing, NULL);
    pthread_join(thread, NULL);
  }
  kill(sender, SIGKILL);
  waitpid(sender, NULL, 0);
  sigprocmask(SIG_BLOCK, NULL, &set);
  for (int number = 1; number < 32; number++) if (sigismember(&set, number)) return 4;
  return arrived > 1 && wrong == 0 ? 5 : 6;
}
"""

NOTIFIED = r"""
#include <sysload/hook.h>
%(before)s
static int count, started;
static void wrong(void) { %(does)s }
static void thread_started(struct sysload_hook *hook, struct sysload_thread *thread) {
  if (++started == %(nth)d) wrong();
}
static void thread_exiting(struct sysload_hook *hook, struct sysload_thread *thread) { wrong(); }
static void forked(struct sysload_hook *hook, struct sysload_thread *thread) { wrong(); }
static void finishing(struct sysload_hook *hook, int status) { wrong(); }
int sysload_hook_init(struct sysload_hook *hook) {
  %(register)s
  return 0;
}
"""
FUNCTIONS = {
    "sysload_hook_init": ("wrong();", 1),
    "thread_started": ("hook->thread_started = thread_started;", 1),
    "thread_started of another thread": ("hook->thread_started = thread_started;", 2),
    "thread_exiting": ("hook->thread_exiting = thread_exiting;", 1),
    "forked": ("hook->forked = forked;", 1),
    "finishing": ("hook->finishing = finishing;", 1),
}


def run(command, folder, **environment):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL, env={**os.environ, **environment})


def notified(folder, build):
    """Functions that are told something, some of them while all signals are blocked."""
    failed = 0
    build("beginnings", BEGINNINGS, "-O1", "-static", "-pthread")
    for i, (name, (register, nth)) in enumerate(FUNCTIONS.items()):
        for what in ("reads nothing", "recurses for ever"):
            before, does, says = WRONG[what]
            source = NOTIFIED % {"before": before, "does": does, "nth": nth, "register": register}
            build(f"notified{i}.so", source, *HOOK_FLAGS)
            for blocked in ([], ["blocked"]):
                done = run([SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", f"./notified{i}.so", "--", "./beginnings",
                            *blocked], folder)
                function = name.split()[0]
                good = (done.returncode == 127 and f"notified{i}.so: {says}" in done.stderr and
                        f", in {function}; the program is ended\n" in done.stderr)
                failed += not good
                print("ok:" if good else "FAILED:", f"a hook that {what} in {name}", *blocked, "" if good else done)
    return failed


def sent(folder, build):
    build("sent", SENT, "-O1", "-static", "-pthread")
    every = " ".join(register for register, _ in list(FUNCTIONS.values())[1:])
    build("every.so", NOTIFIED % {"before": "", "does": "count++;", "nth": 1, "register": every}, *HOOK_FLAGS)
    done = run([SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", "./every.so", "--", "./sent"], folder)
    good = done.returncode == 5 and done.stderr == "" and run(["./sent"], folder).returncode == 5
    print("ok:" if good else "FAILED:", "a fault's signal that is sent while hooks are told something", "" if good else done)
    return not good


def loops(folder, build):
    """A hook that never comes back is named, while the program hangs in it."""
    loop = "for (;;) __asm__ volatile(\"\");"
    failed = 0
    for source, where in ((HOOK % ("", loop), "call write"),
                          (NOTIFIED % {"before": "", "does": loop, "nth": 1, "register": "wrong();"}, "sysload_hook_init")):
        build("loops.so", source, *HOOK_FLAGS)
        running = subprocess.Popen([SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", "./loops.so", "--", "./program"],
                                   cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True)
        line = ""
        if select.select([running.stderr], [], [], 60)[0]:
            line = running.stderr.readline()
        os.killpg(running.pid, 9)
        running.wait()
        good = "loops.so has not come back for 5 seconds, in thread " in line and line.endswith(f", {where}\n")
        failed += not good
        print("ok:" if good else "FAILED:", "a hook that never comes back from", where, "" if good else line)
    return failed


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
            build(f"hook{i}.so", HOOK % (before, does), *HOOK_FLAGS)
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
        failed += notified(folder, build) + sent(folder, build) + loops(folder, build)
    sys.exit(1 if failed else 0)


main()
