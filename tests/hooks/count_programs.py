"""The hook count: the same calls and errors as `strace -c`, and nothing lost, however the members of a tree end."""

import os
import re
import subprocess
import sys
import tempfile

SYSREWRITE, SYSLOAD = os.environ["SYSREWRITE"], os.environ["SYSLOAD"]

# Makes a thousand calls of getppid, and ends as it is told.
MEMBER = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <linux/seccomp.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
static void *leave(void *argument) {
  syscall(SYS_exit_group, 0);
  return argument;
}
static void nothing(int number) { (void)number; }
static void calls(void) { for (int i = 0; i < 1000; i++) syscall(SYS_getppid); }
int main(int argc, char **argv) {
  const char *how = argc > 1 ? argv[1] : "";
  if (strcmp(how, "tree") == 0) {
    const char *ways[] = {"return", "_exit", "thread", "kill", "fault", "exec", "fork", "vfork"};
    for (int i = 0; i < 8; i++) {
      pid_t child = fork();
      if (child == 0) execl(argv[0], argv[0], ways[i], (char *)0);
      waitpid(child, NULL, 0);
    }
    calls();
    return 3;
  }
  if (strcmp(how, "alarms") == 0) {
    struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 100}, {0, 100}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
  }
  // The kernel does not look at the upper half of either.
  const long upper = strcmp(how, "no ticks, by halves") == 0 ? 1L << 32 : 0;
  const int has_no_ticks = strncmp(how, "no ticks", 8) == 0;
  if (has_no_ticks && syscall(SYS_prctl, PR_SET_TSC | upper, PR_TSC_SIGSEGV | upper, 0, 0, 0) != 0) return 4;
  if (strcmp(how, "strict prctl") == 0) prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
  if (strcmp(how, "strict seccomp") == 0) syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, 0);
  if (strcmp(how, "asked for strict seccomp") == 0 && syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, 0) == 0) return 5;
  if (strncmp(how, "strict", 6) == 0) syscall(SYS_exit, 0);
  calls();
  if (has_no_ticks) execl(argv[0], argv[0], "fork", (char *)0);
  if (strcmp(how, "_exit") == 0) _exit(0);
  if (strcmp(how, "kill") == 0) kill(getpid(), SIGKILL);
  if (strcmp(how, "fault") == 0) *(volatile char *)8 = 0;
  if (strcmp(how, "exec") == 0) execl(argv[0], argv[0], "return", (char *)0);
  if (strcmp(how, "thread") == 0) {
    pthread_t thread;
    pthread_create(&thread, NULL, leave, NULL);
    for (;;) pause();
  }
  if (strcmp(how, "fork") == 0 && fork() == 0) {
    calls();
    kill(getpid(), SIGKILL);
  }
  if (strcmp(how, "vfork") == 0 && vfork() == 0) {
    calls();
    _exit(0);
  }
  wait(NULL);
  return 0;
}
"""
# The tree itself, eight members, and what exec, fork and vfork add.
CALLS = (1 + 8 + 3) * 1000

ROW = re.compile(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(\d+)? *(\w+)$", re.MULTILINE)


def rows(text):
    """Calls and errors by name."""
    return {name: (int(calls), int(errors or 0)) for calls, errors, name in ROW.findall(text)}


def run(command, folder, **environment):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL, env={**os.environ, **environment})


def check(good, sentence, *more):
    print("ok:" if good else "FAILED:", sentence)
    if not good:
        print(*more, sep="\n")
    return not good


def ends(folder):
    """Whatever becomes of a member, what it has counted is in the table."""
    failed = 0
    for name, flags in (("dynamic", []), ("static", ["-static"])):
        program = os.path.join(folder, name)
        subprocess.run(["gcc", "-O1", "-pthread", *flags, "-o", program, os.path.join(folder, "member.c")], check=True)
        done = run([SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", "count", "--", program, "tree"], folder)
        found = rows(done.stderr).get("getppid")
        failed += check(done.returncode == 3 and found == (CALLS, 0), f"{name}: {CALLS} calls of a tree", done)
        each = run([SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", "count:each:output=table", "--",
                    program, "tree"], folder)
        with open(os.path.join(folder, "table"), encoding="utf-8") as file:
            tables = file.read().split("sysload: system calls of ")[1:]
        own = [rows(table).get("getppid", (0, 0))[0] for table in tables]
        failed += check(each.stderr == "" and own[-1] == CALLS and sum(own[:-1]) == CALLS and max(own[:-1]) == 2000,
                        f"{name}: tables of {len(tables) - 1} members add up", own, each)
        killed = run([SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", "count", "--", program, "kill"], folder)
        failed += check(killed.returncode == 137 and rows(killed.stderr).get("getppid") == (1000, 0),
                        f"{name}: the table of a program that was killed", killed)
    return failed


def ends_among_alarms(folder):
    """A timer that strikes while the table is written does not make the end begin again."""
    program = os.path.join(folder, "static")
    rewritten = program + ".rw"
    subprocess.run([SYSREWRITE, "-q", "--interp", SYSLOAD, program, rewritten], check=True)
    failed = 0
    for way, command, environment in (("rewritten", [rewritten], {"SYSLOAD_HOOK": "count"}),
                                      ("under run", [SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", "count", "--", program], {})):
        done = run([*command, "alarms"], folder, **environment)
        ended = rows(done.stderr).get("exit_group")
        failed += check(done.returncode == 0 and done.stderr.count("system calls of") == 1 and ended == (1, 0),
                        f"{way}: one end and one table, whatever strikes", done)
    return failed


def without_ticks(folder):
    """A program that forbids itself the time-stamp counter is counted, in what it executes too, and not timed."""
    program = os.path.join(folder, "static")
    failed = 0
    for way, command, environment in (("rewritten", [program + ".rw"], {"SYSLOAD_HOOK": "count"}),
                                      ("under run", [SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", "count", "--", program], {})):
        for how in ("no ticks", "no ticks, by halves"):
            done = run([*command, how], folder, **environment)
            found = rows(done.stderr).get("getppid")
            # Without run a program that is executed counts for itself; so does its child that is killed.
            wanted = (3000, 0) if way == "under run" else (2000, 0)
            failed += check(done.returncode == 0 and found == wanted,
                            f"{way}: a program that may not read the time-stamp counter: {how}",
                            found, done)
    return failed


def in_strict_mode(folder):
    """What kills a program under hooks, which lives without, is said before."""
    program = os.path.join(folder, "static")
    failed = 0
    for how in ("strict prctl", "strict seccomp"):
        native = run([program, how], folder)
        done = run([SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", "count", "--", program, how], folder)
        line = "sysload: hooks: the program enters strict seccomp mode, which kills it for calls of sysload's own\n"
        failed += check(native.returncode == 0 and line in done.stderr, f"{how}: is said", native, done)
    # With flags, as libseccomp asks whether there is that call, the kernel does nothing.
    native = run([program, "asked for strict seccomp"], folder)
    done = run([SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", "count", "--", program, "asked for strict seccomp"], folder)
    failed += check(native.returncode == 0 and done.returncode == 0 and "strict" not in done.stderr, "who asks enters nothing",
                    native, done)
    return failed


def as_strace(folder):
    """Calls and errors of programs that do the same each time."""
    failed = 0
    # The start: the kernel has executed the program, and ld.so's own calls are those of its place.
    for command in (["/bin/ls", "-l", "/usr", "/nonexistent"], ["/bin/cat", "/etc/passwd"], ["/usr/bin/env", "true"]):
        table = os.path.join(folder, "strace.out")
        run(["strace", "-f", "-c", "-o", table, *command], folder)
        with open(table, encoding="utf-8") as file:
            expected = rows(file.read())
        run([SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", "count:output=count.out", "--", *command], folder)
        with open(os.path.join(folder, "count.out"), encoding="utf-8") as file:
            found = rows(file.read())
        for counts in (expected, found):
            counts.pop("total", None)
        # strace sees its own execve of the program; it does not count calls that never return.
        calls, errors = expected.get("execve", (1, 0))
        expected["execve"] = (calls - 1, errors)
        found.pop("exit_group", None)
        expected.pop("exit_group", None)
        expected = {name: pair for name, pair in expected.items() if pair[0] != 0}
        failed += check(found == expected, f"{command}: {sum(c for c, _ in expected.values())} calls as strace counts them",
                        {name: (expected.get(name), found.get(name)) for name in {*expected, *found}
                         if expected.get(name) != found.get(name)})
    return failed


def sorting(folder):
    failed = 0
    for order, key in (("calls", lambda row: -row[1]), ("name", lambda row: row[0])):
        done = run([SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", f"count:sort={order}", "--", "/bin/ls", "/"], folder)
        table = [(name, int(calls)) for calls, _, name in ROW.findall(done.stderr)][:-1]
        failed += check(len(table) > 10 and [key(row) for row in table] == sorted(key(row) for row in table),
                        f"sorted by {order}", table)
    for option, says in (("sort=size", "sort=size: expected time, calls, errors or name"),
                         ("sort=sixteen bytes and more", "sort=sixteen bytes and more: expected time, calls, errors or name"),
                         ("sort=calls:sort=name", "option at column 12: found sort=name, expected sort once"),
                         ("each=no", "option at column 1: found each=no, expected each without a value"),
                         ("output=a:output=b", "option at column 10: found output=b, expected output once"),
                         ("each:every", "option at column 6: found every, expected sort=, each or output=")):
        done = run([SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", f"count:{option}", "--", "/bin/true"], folder)
        failed += check(done.returncode == 127 and says in done.stderr, f"{option} is refused", done)
    return failed


def main():
    with tempfile.TemporaryDirectory(prefix="sysrewrite-count-") as folder:
        with open(os.path.join(folder, "member.c"), "w", encoding="utf-8") as file:
            file.write(MEMBER)
        failed = ends(folder) + ends_among_alarms(folder) + without_ticks(folder) + in_strict_mode(folder)
        failed += as_strace(folder) + sorting(folder)
    sys.exit(1 if failed else 0)


main()
