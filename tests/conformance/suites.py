"""Other people's test suites, natively and patched, compared case by case.

A suite is cut into units (a file of tests, a stressor), each of which is one command that gives results: the name of
a case, and what became of it. A case must end patched as natively, whether that is well or badly. Tests that wait for
a clock fail now and then by themselves, so where something differs,

    the unit is run natively again        a result that one of five native runs gives is none that differs
    and then patched again                until what differs is found twice. What is found once in five patched runs is listed as
                                          seldom, but for a crash or a hang, which differs

What differs fails the test, unless EXPLAINED says why: then it is listed with the reason, and an explanation that nothing
needs any more fails the test, too. Nothing is left out of what is printed.
"""

import collections
import concurrent.futures
import fnmatch
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

SYSREWRITE, SYSLOAD = os.environ["SYSREWRITE"], os.environ["SYSLOAD"]
CACHE = os.environ["SYSREWRITE_TEST_CACHE"]
FULL = os.environ.get("SYSREWRITE_TEST_FULL") == "1"
# Nothing, or a hook, or both; so that the same suites can be tried under hooks.
HOOK = os.environ.get("SYSREWRITE_TEST_HOOK", "none")
# How often a unit is run in each way before a result that was found patched counts as different.
RUNS = 5
AT_ONCE = 2
HANGS, MISSING = "hangs", "missing"

Outcome = collections.namedtuple("Outcome", "status output")


def under_run(command, hook=HOOK):
    return [SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", hook, "--", *command]


def environment(folder, **more):
    """The same for everybody: tests look at a surprising number of variables."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8",
            "XDG_CACHE_HOME": CACHE + "/cache", "XDG_STATE_HOME": CACHE + "/state", "SYSLOAD_HOOK": HOOK, **more}


# The leader of the session, and the parent: a program behind `run` is neither, and its tests can tell. Its status of
# one that a signal has killed is as that of `run`.
SHELL = ["/bin/sh", "-c", '"$@"; exit $?', "sh"]


def execute(command, folder, timeout, identity=(), **more):
    """Runs a command in a session of its own, which is killed when time is up, and whatever is left of it at the end."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(SHELL + command, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
                                   start_new_session=True, env=environment(folder, **more), **dict(identity))
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            status = HANGS
        end_session(process.pid)
        process.wait()
        said.seek(0)
        return Outcome(status, said.read().decode(errors="replace"))


def end_session(session):
    """Process groups of its own are no way out of a session."""
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.getsid(int(name)) == session:
                os.kill(int(name), signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


class Folder:
    """A new folder for each run, whose name is as long as all others': tests measure it."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="conformance-")
        return self.path

    def __exit__(self, *_):
        subprocess.run(["chmod", "-R", "u+rwX", self.path], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.path, ignore_errors=True)


class Comparison:
    """What became of the cases of all units, natively and patched."""

    def __init__(self, name, run_unit, explained=()):
        self.name, self.run_unit = name, run_unit
        # (pattern of "unit: case", reason)
        self.explained = dict(explained)
        self.needed = set()
        self.kinds = collections.Counter()
        self.unstable, self.seldom, self.different, self.excused = [], [], [], []
        self.lock = threading.Lock()

    def unit(self, unit):
        started = time.monotonic()
        natives = [self.run_unit(unit, False)[0]]
        native_seconds = time.monotonic() - started
        patched = [self.run_unit(unit, True)]
        seconds = time.monotonic() - started
        first = differing(patched[0][0], natives)
        while differing(patched[0][0], natives) and len(natives) < RUNS:
            natives.append(self.run_unit(unit, False)[0])

        def times():
            return collections.Counter(case for results, _ in patched for case in differing(results, natives))

        while times() and min(times().values()) < 2 and len(patched) < RUNS:
            patched.append(self.run_unit(unit, True))
        left = times()
        with self.lock:
            self.kinds.update(map(kind, natives[0].values()))
            print(f"{unit}: {counted(natives[0])}; {native_seconds:.1f} s natively, {seconds - native_seconds:.1f} s patched"
                  + (f"; {len(natives)} and {len(patched)} times" if first else ""), flush=True)
            self.unstable += [f"{unit}: {case}: {both(case, natives, patched[:1])}" for case in sorted(first - left.keys())]
            for case, count in sorted(left.items()):
                is_crashing = any(is_crash(results.get(case, MISSING)) for results, _ in patched)
                self.judge(unit, case, both(case, natives, patched), count > 1 or is_crashing)
            if any(line.startswith(unit + ":") for line in self.different):
                print(f"{unit} said patched:\n{patched[0][1][-12000:]}\n(end of {unit})", flush=True)

    def judge(self, unit, case, what, is_different):
        for pattern, reason in self.explained.items():
            if fnmatch.fnmatchcase(f"{unit}: {case}", pattern):
                self.needed.add(pattern)
                self.excused.append(f"{unit}: {case}: {what}\n    {reason}")
                return
        (self.different if is_different else self.seldom).append(f"{unit}: {case}: {what}")

    def all(self, units, least):
        """All units, two at a time, and the report; `least` is how many cases there must be at least."""
        units = list(units)
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for future in [pool.submit(self.unit, unit) for unit in units]:
                future.result()
        count = sum(self.kinds.values())
        print(f"{self.name}: {len(units)} units, {count} cases, natively {dict(self.kinds)}; "
              f"{len(self.different)} differ patched, {len(self.excused)} as explained; {len(self.unstable)} are unstable natively, "
              f"{len(self.seldom)} differed once in {RUNS} times")
        print(f"{self.name}: {sum(os.times()[2:4]):.0f} s of processors, for both ways")
        for title, lines in (("unstable natively", self.unstable), ("seldom", self.seldom), ("explained", self.excused),
                             ("DIFFERENT", self.different)):
            for line in sorted(lines):
                print(f"{title}: {line}")
        good = not self.different
        if FULL and (unneeded := self.explained.keys() - self.needed):
            print(f"FAILED: nothing differs any more as explained: {sorted(unneeded)}")
            good = False
        if count < least:
            print(f"FAILED: {count} cases, where there were at least {least}")
            good = False
        sys.exit(0 if good else 1)


def kind(result):
    return result.split(":", maxsplit=1)[0]


def counted(results):
    kinds = collections.Counter(map(kind, results.values()))
    return ", ".join(f"{number} {name}" for name, number in kinds.items())


def differing(results, natives):
    """The cases whose result no native run gives."""
    cases = results.keys() | {case for native in natives for case in native}
    return {case for case in cases if all(results.get(case, MISSING) != native.get(case, MISSING) for native in natives)}


def both(case, natives, patched):
    def all_of(runs):
        return " or ".join(sorted({run.get(case, MISSING) for run in runs}))

    return f"natively {all_of(natives)}; patched {all_of(results for results, _ in patched)}"


def is_crash(result):
    """The status is of a shell: 128 and the signal."""
    status = re.fullmatch(r"status (\w+)", result)
    return status is not None and (status.group(1) == HANGS or int(status.group(1)) > 128)
