"""The ways of a program: natively, rewritten, under `sysrewrite run`, and under which hooks.

A test names a source, and how it is built; what the program prints, and how it ends, must be the same in every way.
"""

import difflib
import os
import subprocess
import sys
import tempfile

SYSREWRITE, SYSLOAD = os.environ["SYSREWRITE"], os.environ["SYSLOAD"]
FULL = os.environ.get("SYSREWRITE_TEST_FULL") == "1"
PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")
HOOKS = ("none", "pass", "pass:entry:exit", "count")
BUILDS = {
    "glibc static": ["gcc", "-O1", "-static", "-pthread", "-w"],
    "musl static": ["musl-gcc", "-O1", "-static", "-pthread", "-w"],
    "glibc dynamic": ["gcc", "-O1", "-pthread", "-w"],
    "musl dynamic": ["musl-gcc", "-O1", "-pthread", "-w"],
}


# Nothing here is a speed test: a program that runs for this long hangs. The full counts take a minute where nothing else
# runs, and ten times that where traps are slow and the machine is busy.
HANG_SECONDS = 900 if FULL else 120


def run(command, **environment):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS, errors="backslashreplace",
                              stdin=subprocess.DEVNULL, env={**os.environ, **environment})
    except subprocess.TimeoutExpired as hang:
        return "hangs", (hang.stdout or b"").decode(), (hang.stderr or b"").decode()
    return done.returncode, done.stdout, done.stderr


def under_run(hook, *options):
    """The words before a program's name: run follows programs and libraries, and hook is what is done with calls."""
    return [SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", hook, *options, "--"]


class Comparison:
    """Programs in a folder of their own, and what they did natively."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="sysrewrite-exact-")
        self.failed = 0

    def path(self, name):
        return os.path.join(self.folder.name, name.replace(" ", "-"))

    def build(self, source, build, *options, compiler=None):
        program = self.path(f"{os.path.splitext(source)[0]}-{build}")
        subprocess.run([*(compiler or BUILDS[build]), "-o", program, os.path.join(PROGRAMS, source), *options], check=True)
        return program

    def rewritten(self, program, *options):
        return self.rewritten_as(program, program + ".rw" + "".join(options), *options)

    def rewritten_as(self, program, output, *options):
        status, _, said = run([SYSREWRITE, "-q", "--interp", SYSLOAD, *options, program, output])
        # 3: bytes 0f 05 that are none for sure, by an accident of addresses, were left alone.
        if status not in (0, 3):
            sys.exit(f"FAILED: {program} is rewritten with {options}: {status}\n{said}")
        return output

    def check(self, good, sentence, details=""):
        print(f"ok: {sentence}" if good else f"FAILED: {sentence}\n{details}", flush=True)
        self.failed += not good

    def same(self, sentence, wanted, command, normalise=str, **environment):
        """`wanted` is what run() has said of the native program: status, output, and error output but for `count`."""
        status, output, errors = run(command, **environment)
        good = (status, normalise(output)) == (wanted[0], normalise(wanted[1]))
        differs = "\n".join(difflib.unified_diff(normalise(wanted[1]).splitlines(), normalise(output).splitlines(),
                                                 "natively", "found", lineterm=""))
        self.check(good, sentence, f"status {status} instead of {wanted[0]}\n{differs}\n{errors}")

    def natively(self, sentence, command, status=0):
        wanted = run(command)
        if wanted[0] != status or not wanted[1]:
            sys.exit(f"FAILED: {sentence}, natively: {wanted[0]}\n{wanted[1]}{wanted[2]}")
        return wanted

    def everywhere(self, name, program, arguments, is_static, hooks=HOOKS, tiers=(), normalise=str,
                   run_hooks=("none", "pass:entry:exit"), status=0):
        """Natively, and then in every way that there is for the program; `tiers` are tried without hooks."""
        wanted = self.natively(name, [program, *arguments], status)
        if is_static:
            rewritten = self.rewritten(program)
            for hook in hooks:
                self.same(f"{name} under {hook}", wanted, [rewritten, *arguments], normalise, SYSLOAD_HOOK=hook)
            for some in tiers:
                some_tiers = self.rewritten(program, f"--tiers={some}")
                for hook in ("none", "pass:entry:exit"):
                    self.same(f"{name}, tiers {some}, under {hook}", wanted, [some_tiers, *arguments], normalise,
                              SYSLOAD_HOOK=hook)
        # As a shell has it.
        if wanted[0] < 0:
            wanted = (128 - wanted[0], *wanted[1:])
        for hook in hooks if FULL else run_hooks:
            self.same(f"{name} under run and {hook}", wanted, [*under_run(hook), program, *arguments], normalise)

    def end(self):
        self.folder.cleanup()
        sys.exit(1 if self.failed else 0)
