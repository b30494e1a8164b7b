"""stability.py terminals|signals: programs of many threads, rewritten, which must neither crash nor hang.

With SYSREWRITE_TEST_FULL=1 terminals runs programs/terminals.c 500 times in a row with each libc, and 100 times under
each hook; signals runs programs/signals.c for ten minutes with both libcs at once, and for half a minute under each
hook. Counts and times are small without it.
"""

import concurrent.futures
import os
import subprocess
import sys
import time

from suites import FULL, HANGS, SYSLOAD, SYSREWRITE, Folder, execute

PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")
COMPILERS = {"musl": "musl-gcc", "glibc": "gcc"}
HOOKS = ("none", "count", "pass:entry:exit")


def build(name, libc, folder):
    native, patched = (os.path.join(folder, f"{name}-{libc}{end}") for end in ("", ".rw"))
    subprocess.run([COMPILERS[libc], "-O2", "-static", "-pthread", "-w", "-o", native, os.path.join(PROGRAMS, name + ".c")],
                   check=True)
    subprocess.run([SYSREWRITE, "-q", "--interp", SYSLOAD, native, patched], check=True)
    return native, patched


def runs(program, arguments, seconds, wanted, hook):
    """Whether it ended well, with what it is to say; says so if not."""
    with Folder() as folder:
        outcome = execute([program, *map(str, arguments)], folder, seconds, SYSLOAD_HOOK=hook)
    if outcome.status == 0 and wanted in outcome.output:
        return True
    print(f"FAILED: {os.path.basename(program)} {arguments} under {hook}: "
          f"{'it hung' if outcome.status == HANGS else f'status {outcome.status}'}\n{outcome.output[-3000:]}", flush=True)
    return False


def rounds(libc, hook, count, folder):
    threads, times = 16, 4
    native, patched = build("terminals", libc, folder)
    wanted = f"{threads} threads, {times} terminals each"
    if not runs(native, (threads, times), 120, wanted, "none"):
        sys.exit("FAILED: natively")
    started = time.monotonic()
    # The first that fails is enough.
    for number in range(1, count + 1):
        if not runs(patched, (threads, times), 120, wanted, hook):
            print(f"FAILED: {libc} under {hook}, round {number} of {count}")
            return False
    print(f"ok: {libc}, {wanted}, under {hook}, {count} times in {time.monotonic() - started:.0f} s", flush=True)
    return True


def terminals(folder):
    counts = {"none": 500, "count": 100, "pass:entry:exit": 100} if FULL else dict.fromkeys(HOOKS, 3)
    return all([rounds(libc, hook, counts[hook], folder) for libc in COMPILERS for hook in HOOKS])


def lasts(libc, hook, seconds, folder):
    native, patched = build("signals", libc, folder)
    wanted = "kinds of threads, every signal once, in order"
    if not runs(native, (1,), 60, wanted, "none"):
        sys.exit("FAILED: natively")
    # With a hook a signal may come behind those that were queued after it (docs/limits.md).
    arguments = (seconds,)
    if hook != "none":
        arguments, wanted = (seconds, "unordered"), "kinds of threads, every signal once"
    good = runs(patched, arguments, seconds + 60, wanted, hook)
    if good:
        print(f"ok: {libc}, signals for {seconds} s under {hook}", flush=True)
    return good


def signals(folder):
    # Ten minutes are long: others may have the processors first, and to lose one at any moment is part of the test.
    os.nice(10)
    times = {"none": 600, "count": 30, "pass:entry:exit": 30} if FULL else dict.fromkeys(HOOKS, 1)
    good = True
    with concurrent.futures.ThreadPoolExecutor(len(COMPILERS)) as pool:
        for hook in HOOKS:
            good = all(list(pool.map(lambda libc: lasts(libc, hook, times[hook], folder), COMPILERS))) and good
    return good


def main():
    with Folder() as folder:
        return 0 if {"terminals": terminals, "signals": signals}[sys.argv[1]](folder) else 1


if __name__ == "__main__":
    sys.exit(main())
