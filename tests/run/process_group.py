"""A process group as whoever has started it sees it: what it says, its processes and their states."""
import contextlib
import os
import select
import signal
import subprocess
import time

from comparison import Failure, environment

# A program that says which signals it gets.
SIGNALLED = r"""
import os, signal, sys, time
def on(number, frame):
    # Not print: it may be printing already.
    os.write(1, b'got ' + signal.Signals(number).name.encode() + b'\n')
    if number == signal.SIGTERM: sys.exit(11)
for s in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT,
          signal.SIGIO, signal.SIGCHLD, signal.SIGPROF, signal.SIGRTMIN, signal.SIGRTMAX):
    signal.signal(s, on)
print('ready', flush=True)
while True: time.sleep(10)
"""


def read_until(descriptor, text, seconds=60):
    got = b""
    deadline = time.monotonic() + seconds
    while text not in got:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise Failure(f"{text} does not come, only {got}")
        try:
            piece = os.read(descriptor, 4096)
        except OSError:
            piece = b""
        if not piece:
            raise Failure(f"{text} does not come, only {got}")
        got += piece
    return got


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        return stat.read().rpartition(")")[2].split()[0]


def wait_for_state(pid, wanted, what):
    deadline = time.monotonic() + 20
    while state_of(pid) not in wanted:
        if time.monotonic() > deadline:
            raise Failure(f"{what}: state {state_of(pid)}, not one of {wanted}")
        time.sleep(0.02)


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return [int(child) for child in children.read().split()]


@contextlib.contextmanager
def group_of(command, folder, **more):
    """A process group of its own, of which nothing is left where a check fails."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder,
                          env=environment(folder), start_new_session=True, **more) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
