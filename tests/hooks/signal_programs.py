"""Signals: a program that checks itself, natively, without hooks, and with every kind of hook around its calls.

The program (programs/signals.c) takes signals at 10 kHz while it makes calls, and in its handlers, on an alternate
stack too; leaves handlers by longjmp and setcontext; waits, stops and goes on; forks and starts threads. What it
prints does not depend on time, so it must be the same line by line.
"""

import os
import subprocess
import sys
import tempfile

SYSREWRITE, SYSLOAD = os.environ["SYSREWRITE"], os.environ["SYSLOAD"]
FULL = os.environ.get("SYSREWRITE_TEST_FULL") == "1"
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs", "signals.c")
HOOKS = ("none", "pass", "pass:exit", "pass:entry:exit", "count")
BUILDS = {
    "glibc": ["gcc", "-O1", "-static", "-pthread"],
    "musl": ["musl-gcc", "-O1", "-static", "-pthread"],
    "dynamic": ["gcc", "-O1", "-pthread"],
}


def run(command, **environment):
    return subprocess.run(command, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
                          env={**os.environ, **environment})


def ways(folder, name):
    """How the program is run under a hook: a sentence, the command, and what stands in the environment. Each takes
    three seconds: every kind of hook for glibc, and for the others, but in the full tests, what differs there."""
    hooks = HOOKS if FULL or name == "glibc" else ("none", "pass:entry:exit")
    native = os.path.join(folder, name)
    if name != "dynamic":
        rewritten = native + ".rw"
        done = run([SYSREWRITE, "-q", "--interp", SYSLOAD, native, rewritten])
        if done.returncode != 0:
            sys.exit(f"FAILED: {name} is rewritten\n{done.stderr}")
        for hook in hooks:
            yield f"{name} under {hook}", [rewritten], {"SYSLOAD_HOOK": hook}
    for hook in ("none", *HOOKS[-2:]) if FULL else ("none", HOOKS[-2]) if name == "dynamic" else ():
        yield f"{name} under run and {hook}", [SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", hook,
                                              "--", native], {}
    if FULL or name != "musl":
        yield f"{name}, exhaustive", [SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--exhaustive", "--", native], {}


def main():
    failed = 0
    with tempfile.TemporaryDirectory(prefix="sysrewrite-signals-") as folder:
        for name, compiler in BUILDS.items():
            subprocess.run([*compiler, "-w", "-o", os.path.join(folder, name), SOURCE], check=True)
            native = run([os.path.join(folder, name)])
            if native.returncode != 0:
                sys.exit(f"FAILED: {name}, natively\n{native.stdout}")
            for sentence, command, environment in ways(folder, name):
                for _ in range(4 if FULL else 1):
                    found = run(command, **environment)
                    if (found.returncode, found.stdout) == (0, native.stdout):
                        continue
                    print(f"FAILED: {sentence}: status {found.returncode}\n{found.stdout}{found.stderr}")
                    failed += 1
                    break
                else:
                    print(f"ok: {sentence}")
    sys.exit(1 if failed else 0)


main()
