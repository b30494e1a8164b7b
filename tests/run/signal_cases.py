"""Signals to a program, to `run` and to the process group of both."""
import contextlib
import os
import re
import signal
import subprocess
import time

from comparison import FULL, PYTHON, build, check, check_nothing_left, environment, same, source_of, under_run
from process_group import SIGNALLED, group_of, read_until, wait_for_state

ROUNDS = 2000 if FULL else 100


def case_signals_to_the_parent_reach_the_program(runner):
    folder = runner.folder()
    with subprocess.Popen(under_run([PYTHON, "-c", SIGNALLED]), stdout=subprocess.PIPE, cwd=folder,
                          env=environment(folder), start_new_session=True) as process:
        out = process.stdout.fileno()
        read_until(out, b"ready")
        for name in ("SIGUSR1", "SIGUSR2", "SIGHUP", "SIGINT", "SIGQUIT", "SIGIO", "SIGPROF", "SIGRTMIN", "SIGRTMAX",
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


class Counted:
    """A program under `run`, in a process group of the two, that counts the signals it gets."""

    def __init__(self, process, number):
        self.process = process
        self.number = number
        self.out = process.stdout.fileno()
        read_until(self.out, b"ready\n")

    def to_group(self):
        os.killpg(self.process.pid, self.number)

    def to_run(self):
        os.kill(self.process.pid, self.number)

    def answered(self):
        read_until(self.out, b"+\n")

    def taken_by_run(self):
        """Signals that are not queued, and wait for the same process, are one (docs/limits.md)."""
        waiting = "1"
        while int(waiting, 16) != 0:
            with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
                waiting = re.search(r"ShdPnd:\s*(\w+)", status.read()).group(1)

    def check_count(self, count, what):
        """Of what it has got in the end, when nothing more comes."""
        time.sleep(0.3)
        self.process.terminate()
        counts = read_until(self.out, b";\n").decode().replace("+\n", "")
        check(self.process.wait(60) == 5, "the status is lost")
        queued = [count if self.number == other else 0 for other in (signal.SIGRTMIN + 1, signal.SIGRTMAX)]
        handled = count if self.number == signal.SIGUSR1 else 0
        check(counts == f"handled {handled}, queued {queued[0]} and {queued[1]};\n", f"{what}: {counts}")


@contextlib.contextmanager
def counted(runner, number):
    folder = runner.folder(lambda path: build(path, "counts", source_of("signal_counts")))
    with group_of(under_run(["./counts"]), folder) as process:
        yield Counted(process, number)
    check_nothing_left("signals")


def case_signals_come_once(runner):
    """Sent to the process group, of which `run` is one, or to `run` alone: the program gets each once."""
    for number in (signal.SIGRTMIN + 1, signal.SIGRTMAX, signal.SIGUSR1):
        for senders in (("to_group",), ("to_run",), ("to_group", "to_run", "to_run")):
            with counted(runner, number) as program:
                for turn in range(ROUNDS):
                    getattr(program, senders[turn % len(senders)])()
                    program.answered()
                    program.taken_by_run()
                program.check_count(ROUNDS, f"{number} {senders}")


def case_queued_signals_come_once(runner):
    """The same where nobody waits for one before the next is sent."""
    with counted(runner, signal.SIGRTMIN + 1) as program:
        for turn in range(300):
            program.to_group() if turn % 3 == 0 else program.to_run()
        program.check_count(300, "queued")


def case_signals_come_once_after_a_stop(runner):
    """The group is stopped, and `run` alone is told to go on."""
    with counted(runner, signal.SIGRTMIN + 1) as program:
        os.killpg(program.process.pid, signal.SIGSTOP)
        wait_for_state(program.process.pid, "T", "run")
        for _ in range(2):
            program.to_group()
        program.process.send_signal(signal.SIGCONT)
        for _ in range(2):
            program.to_run()
        program.check_count(4, "stopped")
