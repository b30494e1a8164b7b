"""Under run its parent writes what hooks say: nobody loses a line to a slow reader, or waits for one who is gone.

What is lost all the same is said.
"""

import concurrent.futures
import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

SYSREWRITE, SYSLOAD = os.environ["SYSREWRITE"], os.environ["SYSLOAD"]
LONG = 120  # seconds, for what would never end

# Makes so many calls, then says so. "fork": in a child, which lives on where its parent is killed. "child": in a child, of which nobody waits, once its parent has gone and
# standard input is at its end. "nonblock": where standard error, which it shares with run, does not block.
PROGRAM = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
  char byte;
  if (argc > 2 && strcmp(argv[2], "fork") == 0 && fork() != 0) pause();
  if (argc > 2 && strcmp(argv[2], "child") == 0) {
    if (fork() != 0) return 7;
    while (read(0, &byte, 1) > 0) {}
  }
  if (argc > 2 && strcmp(argv[2], "nonblock") == 0) fcntl(2, F_SETFL, O_NONBLOCK);
  for (int i = atoi(argv[1]); i > 0; i--) syscall(SYS_getppid);
  write(1, "finished\n", 9);
  return 5;
}
"""
MORE_THAN_FITS = 80000  # records of a line, in 4 MiB


def start(folder, hook, *command, **others):
    return subprocess.Popen([SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", hook, "--", *command], cwd=folder,
                            stdout=subprocess.PIPE, text=True, start_new_session=True, **others)


def end(running):
    """What is left to read; the whole tree is killed where it would go on for ever."""
    try:
        return running.communicate(timeout=LONG)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        return running.communicate()


def end_all(running):
    """What run has said, which has ended; what it has left is killed."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    return end(running)[1]


def slow_reader(folder):
    """Longer than a reader was once waited for."""
    running = start(folder, "trace:filter=getppid", "./program", str(MORE_THAN_FITS), stderr=subprocess.PIPE)
    time.sleep(5)
    said, traced = end(running)
    lines = traced.count("getppid()")
    return said == "finished\n" and lines == MORE_THAN_FITS and running.returncode == 5, (said, lines, running.returncode)


def trickle(folder):
    """A hook that waits for a reader, who reads little at a time, does not hang."""
    os.mkfifo(os.path.join(folder, "fifo"))
    running = start(folder, "trace:output=fifo:filter=getppid", "./program", "300000", stderr=subprocess.PIPE)
    with open(os.path.join(folder, "fifo"), "rb") as fifo:
        for _ in range(100):
            fifo.read1(4096)
            time.sleep(0.1)
        while fifo.read1(1 << 20):
            pass
    said, error = end(running)
    return said == "finished\n" and error == "", (said, error)


def killed(folder):
    """The ring is full, or will be, and nobody will ever read it."""
    running = start(folder, "trace:filter=getppid", "./program", "200000", "fork", stderr=subprocess.PIPE)
    select.select([running.stderr], [], [], LONG)
    time.sleep(1)
    os.kill(running.pid, signal.SIGKILL)
    said, traced = end(running)
    line = traced.splitlines()[-1]
    good = said == "finished\n" and "sysload: hook: trace: " in line and " pieces of its output were lost: EPIPE" in line
    return good, (said, traced[-300:])


def outlives(folder):
    reader, writer = os.pipe()
    running = start(folder, "trace:output=out", "./program", "200000", "child", stdin=reader, stderr=subprocess.PIPE)
    os.close(reader)
    status = running.wait(timeout=LONG)
    os.close(writer)
    said, error = end(running)
    line = "sysrewrite: run: 1 process still runs: what it does from now on is not in the output of trace\n"
    return said == "finished\n" and status == 7 and error == line, (status, said, error)


def background(folder):
    """What lives on is counted, also where it is executing something just then; and nothing is said where nothing does."""
    wrong = []
    # Until both sleep: what still opens libraries then says that it runs native.
    wait = "until grep -q '^230 ' /proc/$a/syscall && grep -q '^230 ' /proc/$b/syscall; do :; done"
    for hook, script, line in (("count:output=out", "sleep 100 & exit 7", "1 process still runs: what it does"),
                               ("count:output=out", f"sleep 100 & a=$!; sleep 100 & b=$!; {wait}; exit 7",
                                "2 processes still run: what they do"),
                               ("count:output=out", "true | cat; (sleep 100 & kill -9 $!; wait); exit 7", "")):
        running = start(folder, hook, "sh", "-c", script, stderr=subprocess.PIPE)
        status = running.wait(timeout=LONG)
        error = end_all(running)
        if line:
            line = "sysrewrite: run: " + line + " from now on is not in the output of count\n"
        if status != 7 or line not in error or "still" in error.replace(line, ""):
            wrong.append((script, status, error))
    return not wrong, wrong


def just_made(folder):
    """A child that is being forked, or executes something, at the moment when the first program ends."""

    def is_counted(number):
        running = start(folder, f"count:output=out{number}", "sh", "-c", "sleep 100 & exit 7", stderr=subprocess.PIPE)
        status = running.wait(timeout=LONG)
        return status == 7 and "1 process still runs" in end_all(running)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        missed = list(pool.map(is_counted, range(200))).count(False)
    return missed == 0, f"{missed} of 200 were missed"


def incomplete(folder):
    """A result that claims to be complete says itself that it is not."""
    running = start(folder, "files:output=out", "bash", "-c", "echo x > >(sleep 100; cat > late)", stderr=subprocess.PIPE)
    running.wait(timeout=LONG)
    error = end_all(running)
    with open(os.path.join(folder, "out"), encoding="utf-8") as file:
        records = file.read().splitlines()
    line = r"incomplete \d+ process(es)? still runs?: what (it does|they do) from now on is not recorded"
    return any(re.fullmatch(line, record) for record in records) and "still" not in error, (error, records[-3:])


def non_blocking(folder):
    running = start(folder, "trace:filter=getppid", "./program", "20000", "nonblock", stderr=subprocess.PIPE)
    time.sleep(1)
    said, traced = end(running)
    return said == "finished\n" and traced.count("getppid()") == 20000, (said, traced.count("getppid()"))


def full_device(folder):
    """Of each hook that comes along, as they write in different ways."""
    wrong = []
    for hook in ("trace", "files", "count"):
        running = start(folder, hook + ":output=/dev/full", "./program", "10", stderr=subprocess.PIPE)
        said, error = end(running)
        expected = rf"sysrewrite: run: \d+ bytes of the output of {hook} were lost: No space left on device\n"
        if said != "finished\n" or running.returncode != 5 or not re.fullmatch(expected, error):
            wrong.append((hook, said, error, running.returncode))
    return not wrong, wrong


def main():
    failed = 0
    with tempfile.TemporaryDirectory(prefix="sysrewrite-run-output-") as folder:
        subprocess.run(["gcc", "-O1", "-w", "-x", "c", "-o", os.path.join(folder, "program"), "-"], input=PROGRAM.encode(),
                       check=True)
        for what, case in (("a slow reader gets every line", slow_reader),
                           ("a hook that waits for a slow reader does not hang", trickle),
                           ("a child goes on where run is killed, and says what was lost", killed),
                           ("a process that outlives run goes on", outlives),
                           ("processes that live on are counted", background),
                           ("a process that is just being made is counted", just_made),
                           ("files says that it is incomplete where processes live on", incomplete),
                           ("standard error that does not block is waited for", non_blocking),
                           ("what a full device does not take is said", full_device)):
            good, seen = case(folder)
            print("ok:" if good else "FAILED:", what, "" if good else seen)
            failed += not good
    sys.exit(1 if failed else 0)


main()
