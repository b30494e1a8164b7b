"""Signals to a program, to `run` and to the process group of both."""
import os
import signal
import socket
import subprocess
import time

from comparison import FULL, PYTHON, build, check, check_nothing_left, environment, same, under_run
from process_group import SIGNALLED, group_of, read_until, wait_for_state

ROUNDS = 2000 if FULL else 100


def case_signals_to_the_parent_reach_the_program(runner):
    folder = runner.folder()
    with subprocess.Popen(under_run([PYTHON, "-c", SIGNALLED]), stdout=subprocess.PIPE, cwd=folder,
                          env=environment(folder), start_new_session=True) as process:
        out = process.stdout.fileno()
        read_until(out, b"ready")
        for name in ("SIGUSR1", "SIGUSR2", "SIGHUP", "SIGINT", "SIGQUIT", "SIGIO", "SIGCHLD", "SIGPROF", "SIGRTMIN", "SIGRTMAX",
                     "SIGTERM"):
            process.send_signal(getattr(signal, name))
            read_until(out, b"got " + name.encode())
        check(process.wait(60) == 11, "the handler's status is lost")
    check_nothing_left("signals")
    with subprocess.Popen(under_run(["sleep", "100"]), env=environment(folder),
                          start_new_session=True) as process:
        time.sleep(0.5)
        process.terminate()
        check(process.wait(60) == 128 + signal.SIGTERM, "killed by SIGTERM")
    check_nothing_left("sleep")


def case_signals_while_run_starts(runner):
    """As long as there is no program they are for run: it may wait for whoever reads a hook's output."""
    folder = runner.folder(lambda folder: os.mkfifo(folder + "/output"))
    with group_of(under_run(["true"], "--hook", "trace:output=output"), folder) as process:
        wait_for_state(process.pid, "S", "run")
        process.send_signal(signal.SIGINT)
        check(process.wait(20) == -signal.SIGINT, f"{process.returncode}")
    # And from then on for the program: the thread that writes this output must not take them.
    command = under_run([PYTHON, "-c", SIGNALLED], "--hook", "trace:output=calls")
    with group_of(command, folder) as process:
        read_until(process.stdout.fileno(), b"ready")
        for _ in range(20):
            process.send_signal(signal.SIGUSR1)
            read_until(process.stdout.fileno(), b"got SIGUSR1", 20)
        process.terminate()
        check(process.wait(60) == 11, "the handler's status is lost")
    check_nothing_left("signals while run starts")


OWNER = r"""
import fcntl, os, sys
number = int(sys.argv[1])
fcntl.fcntl(number, fcntl.F_SETOWN, os.getpid())
if sys.argv[2] != "0": fcntl.fcntl(number, 10, int(sys.argv[2]))  # F_SETSIG
fcntl.fcntl(number, fcntl.F_SETFL, os.O_ASYNC)
os.execv(sys.argv[3], sys.argv[3:])
"""


def case_signals_of_a_file(runner):
    """Whom a file tells that it can be read is who called execve, and so run's process."""
    for number, name in ((0, b"SIGIO"), (signal.SIGUSR1, b"SIGUSR1")):
        ours, others = socket.socketpair()
        command = [PYTHON, "-c", OWNER, str(ours.fileno()), str(int(number)), *under_run([PYTHON, "-c", SIGNALLED])]
        with group_of(command, runner.folder(), pass_fds=[ours.fileno()]) as process:
            read_until(process.stdout.fileno(), b"ready")
            others.send(b"x")
            read_until(process.stdout.fileno(), b"got " + name, 20)
            process.terminate()
            check(process.wait(60) == 11, "the handler's status is lost")
        ours.close()
        others.close()
    check_nothing_left("signals of a file")


def case_sigchld_ignored_around_run(runner):
    """Who ignores SIGCHLD hands that on, and the kernel then tells `run` of no child's end."""
    folder = runner.folder()
    script = ("import os, signal, sys\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
              "os.execv(sys.argv[1], sys.argv[1:])\n")
    command = [PYTHON, "-c", script, *under_run(["sh", "-c", "exit 7"])]
    outcome = runner.execute(command, folder, timeout=20)
    check(outcome.status == 7, str(outcome))


def case_a_program_reads_its_signal_dispositions(runner):
    """All of them but, in /proc, which ones are caught: the trap's handlers show there (docs/limits.md)."""
    script = ("import signal\nfor s in signal.SIGSEGV, signal.SIGTRAP, signal.SIGINT:\n"
              "    print(signal.getsignal(s))\n"
              "print([l for l in open('/proc/self/status') if l.startswith(('SigP', 'ShdP', 'SigB', 'SigI'))])\n")
    same(runner, [PYTHON, "-c", script])


GROUP_SIGNALS = r"""
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
static volatile sig_atomic_t came;
static void handler(int signal) { came = signal; }
int main(void) {
  int all[] = {SIGHUP, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS, SIGUSR1, SIGTERM, SIGRTMIN};
  for (unsigned i = 0; i < sizeof(all) / sizeof(*all); ++i) {
    came = 0;
    signal(all[i], handler);
    kill(0, all[i]);
    usleep(20000);
    printf("%d %s\n", all[i], came == all[i] ? "came" : "did not come");
  }
  return 3;
}
"""


def case_signals_to_the_process_group(runner):
    """Whatever a program sends to its group, and handles, run outlives it, and its status is the program's."""
    same(runner, ["./group"], prepare=lambda folder: build(folder, "group", GROUP_SIGNALS), status=3)
