"""Without run a hook writes in the program's own threads: an output that fails is lost, and the program lives on."""

import os
import subprocess
import sys
import tempfile

SYSREWRITE, SYSLOAD = os.environ["SYSREWRITE"], os.environ["SYSLOAD"]

PROGRAM = r"""
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
static volatile int alarms, others;
static void count(int number) { if (number == SIGALRM) alarms++; else others++; }
static void calls(int many) {
  char name[40];
  for (int i = 0; i < many; i++) { sprintf(name, "/no-such-name/%d", i); access(name, F_OK); }
}
int main(int argc, char **argv) {
  const char *how = argc > 1 ? argv[1] : "";
  struct rlimit none = {0, 0};
  sigset_t set, pending;
  if (strstr(how, "fsize")) setrlimit(RLIMIT_FSIZE, &none);
  if (strstr(how, "handled")) { signal(SIGPIPE, count); signal(SIGXFSZ, count); }
  if (strstr(how, "pending")) {
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGPIPE);
    calls(20);
    sigpending(&pending);
    return sigismember(&pending, SIGPIPE) ? 5 : 6;
  }
  if (strstr(how, "alarms")) {
    struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; alarms < 300 && i < 100000; i++) { calls(5); access("/no-such-name", F_OK); open("", 0); }
    setitimer(ITIMER_REAL, &never, NULL);
    sigprocmask(SIG_BLOCK, NULL, &set);
    if (alarms < 300) return 7;
    if (sigismember(&set, SIGPIPE) || sigismember(&set, SIGXFSZ) || sigismember(&set, SIGALRM)) return 8;
  }
  calls(20);
  sigpending(&pending);
  if (sigismember(&pending, SIGPIPE) || sigismember(&pending, SIGXFSZ)) return 9;
  if (strstr(how, "child")) {
    int status = 0;
    if (fork() == 0) { calls(3); return 4; }
    wait(&status);
    if (WEXITSTATUS(status) != 4) return 10;
  }
  if (others != 0) return 11;
  return 5;
}
"""


def main():
    failed = 0
    with tempfile.TemporaryDirectory(prefix="sysrewrite-lost-") as folder:
        program = os.path.join(folder, "program")
        subprocess.run(["gcc", "-O1", "-w", "-static", "-x", "c", "-o", program, "-"], input=PROGRAM.encode(), check=True)
        subprocess.run([SYSREWRITE, "-q", program, program + ".rw"], check=True)

        def check(how, hook, broken=False):
            reader, writer = os.pipe()
            if broken:
                os.close(reader)
            with open(os.path.join(folder, "error"), "wb") as error:
                done = subprocess.run([SYSLOAD, "--hook", hook, program + ".rw", how], cwd=folder, timeout=120,
                                      stderr=writer if broken else error, restore_signals=True, check=False)
            os.close(writer)
            if not broken:
                os.close(reader)
            with open(os.path.join(folder, "error"), encoding="utf-8") as file:
                said = file.read()
            good = done.returncode == 5
            print("ok:" if good else "FAILED:", how, hook, "" if good else (done.returncode, said[-300:]))
            return not good

        for how in ("fsize", "fsize handled", "fsize child", "fsize alarms"):
            failed += check(how, "trace:output=out")
        failed += check("fsize", "files:output=out")
        for how in ("pipe", "pipe handled", "pipe pending", "pipe child", "pipe alarms"):
            failed += check(how, "trace", broken=True)
        for how in ("", "alarms"):
            failed += check(how, "trace:output=out")
        # The line at the end goes to standard error, which a limit of files does not hold back where it is a pipe.
        done = subprocess.run([SYSLOAD, "--hook", "trace:output=out:filter=access", program + ".rw", "fsize"], cwd=folder,
                              capture_output=True, text=True, timeout=120, check=False)
        good = done.returncode == 5 and done.stderr == "sysload: hook: trace: 21 pieces of its output were lost: EFBIG\n"
        print("ok:" if good else "FAILED:", "what was lost is said", "" if good else done)
        failed += not good
    sys.exit(1 if failed else 0)


main()
