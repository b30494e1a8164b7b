"""Runs one command natively and under `sysrewrite run`, and compares what it did.

Each run gets a fresh folder as its working directory and $HOME, and a session of its own. Standard
output, standard error and the exit status must be the same after normalisation: the folder's name
becomes @DIR@, and a test may name more patterns that differ from run to run (process ids, times).
Nothing may outlive the command: this process is the subreaper, so that whatever is orphaned becomes
its child and is found.
"""
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SYSREWRITE = os.environ["SYSREWRITE"]
SYSLOAD = os.environ["SYSLOAD"]
# Shared by all tests, as one user's would be, and outside the folders that they compare.
CACHE = os.environ["SYSREWRITE_TEST_CACHE"]
FULL = os.environ.get("SYSREWRITE_TEST_FULL") == "1"
PYTHON = "/usr/bin/python3"  # Debian's: another one in $PATH may be built in another way
PR_SET_CHILD_SUBREAPER = 36
ANSWER_TIMEOUT = 300

PID = (re.compile(r"\b\d{2,7}\b"), "@NUMBER@")


class Failure(Exception):
    """What was expected of the product and did not happen."""


def check(condition, message):
    if not condition:
        raise Failure(message)


def tool(name):
    """The path of an installed program; a missing one fails the test."""
    path = shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin:" + os.environ["PATH"])
    check(path is not None, f"{name} is not installed")
    return path


def become_subreaper():
    libc = ctypes.CDLL(None, use_errno=True)
    check(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0, "cannot become a subreaper")


def living_children():
    """Children that have not ended; the ended ones are reaped."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                break
        except ChildProcessError:
            return []
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as children:
        return [int(pid) for pid in children.read().split()]


def check_nothing_left(what):
    deadline = time.monotonic() + 10
    while left := living_children():
        if time.monotonic() > deadline:
            names = []
            for pid in left:
                with open(f"/proc/{pid}/cmdline", "rb") as command:
                    names.append(command.read().replace(b"\0", b" ").decode(errors="replace"))
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            raise Failure(f"{what}: left over: {names}")
        time.sleep(0.02)


class Outcome:
    def __init__(self, status, stdout, stderr):
        # A shell shows a death by signal so, and `run` exits so.
        self.status = 128 - status if status < 0 else status
        self.stdout = stdout
        self.stderr = stderr

    def __str__(self):
        return f"status {self.status}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"


def environment(folder, extra=None):
    result = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": folder,
              "LC_ALL": "C.UTF-8", "TMPDIR": folder, "LANG": "C.UTF-8",
              "XDG_CACHE_HOME": CACHE + "/cache", "XDG_STATE_HOME": CACHE + "/state"}
    result.update(extra or {})
    return result


# Given to every run, so that the same programs can be tried under hooks.
MORE_OPTIONS = os.environ.get("SYSREWRITE_TEST_RUN_OPTIONS", "").split()


def under_run(command, *options):
    return [SYSREWRITE, "run", "--loader", SYSLOAD, *MORE_OPTIONS, *options, "--", *command]


class Runner:
    """Folders that are thrown away at the end, and commands in them."""

    def __init__(self):
        self.folders = []

    def folder(self, prepare=None):
        # Both names have the same length: messages are wrapped, and tables aligned, by it.
        path = tempfile.mkdtemp(prefix="sysrewrite-run-")
        self.folders.append(path)
        os.chmod(path, 0o755)
        if prepare is not None:
            prepare(path)
        return path

    def clean_up(self):
        for path in self.folders:
            shutil.rmtree(path, ignore_errors=True)

    def execute(self, command, folder, stdin=b"", env=None, timeout=ANSWER_TIMEOUT, **more):
        command = [word.replace("@DIR@", folder) for word in command]
        with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, start_new_session=True,
                              env=environment(folder) if env is None else env, **more) as process:
            try:
                out, err = process.communicate(stdin, timeout=timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                out, err = process.communicate(timeout=10)
                raise Failure(f"{command} hangs\n{out.decode(errors='replace')}\n"
                              f"{err.decode(errors='replace')}") from None
        check_nothing_left(" ".join(command))
        return Outcome(process.returncode, out.decode(errors="replace"),
                       err.decode(errors="replace"))


def normalised(text, folder, normalise):
    text = text.replace(folder, "@DIR@")
    for pattern, replacement in normalise:
        text = re.sub(pattern, replacement, text)
    return text


def take_natives(text, patterns):
    """`text` without the lines on native objects that a test expects, each of which must be there."""
    kept = []
    missing = list(patterns)
    for line in text.splitlines(keepends=True):
        pattern = next((p for p in patterns if re.search("native: " + p, line)), None)
        if pattern is None:
            kept.append(line)
        elif pattern in missing:
            missing.remove(pattern)
    check(not missing, f"not listed as native: {missing}\n{text}")
    return "".join(kept)


def same(runner, command, *, prepare=None, stdin=b"", normalise=(), natives=(), options=(),
         status=0, stderr=True, env=None):
    """The comparison. Returns what the run under sysload gave."""
    results = []
    for run in (False, True):
        folder = runner.folder(prepare)
        words = under_run(command, *options) if run else command
        outcome = runner.execute(words, folder, stdin,
                                 env=environment(folder, env) if env is not None else None)
        if run and natives:
            outcome.stderr = take_natives(outcome.stderr, natives)
        outcome.stdout = normalised(outcome.stdout, folder, normalise)
        outcome.stderr = normalised(outcome.stderr, folder, normalise)
        results.append(outcome)
    native, ours = results
    check(status is None or native.status == status,
          f"{command} does not work natively either:\n{native}")
    different = (native.status != ours.status or native.stdout != ours.stdout or
                 (stderr and native.stderr != ours.stderr))
    check(not different, f"{command}\n=== natively\n{native}\n=== under run\n{ours}")
    return ours


TITLE = re.compile(r"^sysload: system calls of \d+ \((.*)\)(?: and \d+ more process(?:es)?)?$")
ROW = re.compile(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$")


def counts(text):
    """The tables of the hook count, in order: name of the program, and calls by their name."""
    tables = []
    for line in text.splitlines():
        if title := TITLE.match(line):
            tables.append((title.group(1), {}))
        elif tables and (row := ROW.match(line)):
            tables[-1][1][row.group(2)] = int(row.group(1))
    return tables


def seen(runner, command, names, *, prepare=None, stdin=b"", least=10):
    """Calls of these programs are really seen: each prints a table of them under `--hook count`."""
    folder = runner.folder(prepare)
    outcome = runner.execute(under_run(command, "--hook", "count:each"), folder, stdin)
    tables = counts(outcome.stderr)
    # A forked child has a table of its own, under its parent's name.
    for name in names:
        most = max((calls.get("total", 0) for program, calls in tables if program == name), default=0)
        check(most >= least, f"{command}: {most} calls seen of {name}\n{outcome}")
    return outcome


def build(folder, name, source, *flags, compiler="gcc", suffix=".c"):
    """Compiles a program into a folder, natively."""
    text = os.path.join(folder, name + suffix)
    with open(text, "w", encoding="utf-8") as file:
        file.write(source)
    subprocess.run([tool(compiler), "-O1", "-o", os.path.join(folder, name), text, *flags],
                   check=True, env=environment(folder))


def source_of(name):
    """The text of one of the programs beside this file."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs", name + ".c")
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(folder, name, text, mode=0o644):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def main(cases):
    if len(sys.argv) != 2 or sys.argv[1] not in cases:
        print("usage: SYSREWRITE=... SYSLOAD=... run_programs.py CASE\ncases: " + " ".join(cases))
        return 2
    become_subreaper()
    runner = Runner()
    try:
        cases[sys.argv[1]](runner)
    except Failure as failure:
        print(failure)
        return 1
    finally:
        runner.clean_up()
    return 0
