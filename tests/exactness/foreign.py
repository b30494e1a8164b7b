"""Threads and children that native code has made, and which then make calls that are rewritten (programs/foreign.c,
and clones.c with its clone left out).

They inherit the gs base, by which hooks know their threads: each has to be told from the one that made it.
"""

import re

from ways import FULL, Comparison, run, under_run

THREADS, ROUNDS = ("64", "2000") if FULL else ("16", "300")
WAYS = (("threads", THREADS, ROUNDS), ("churn", "4000" if FULL else "400"), ("signals", "8", ROUNDS if FULL else "50"),
        ("children", "100" if FULL else "10"), ("stacks", "8", ROUNDS if FULL else "50"),
        ("handlers", "8", ROUNDS if FULL else "50"))
# What is left native in a static program: all that makes threads. The C library of a dynamic one is native as a whole.
OWN = ("--exclude=native_clone", "--exclude=native_exit", "--exclude=native_stack", "--exclude=native_action",
       "--exclude=native_restorer")
LEFT = {
    "glibc static": (*OWN, "--exclude=__clone", "--exclude=__clone3", "--exclude=_Fork"),
    "musl static": (*OWN, "--exclude=__clone", "--exclude=_Fork"),
    "glibc dynamic": OWN,
    "musl dynamic": OWN,
}
ROW = re.compile(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(\d+)? *(\w+)$", re.MULTILINE)


def as_natively(comparison, build):
    program = comparison.build("foreign.c", build)
    patched, trapped = (comparison.rewritten(program, *LEFT[build], *tiers) for tiers in ((), ("--tiers=D",)))
    is_first = build == "glibc dynamic"
    for maker in ("libc", "native", "made"):
        for way in WAYS:
            arguments = [maker, *way]
            name = f"{build}, {' '.join(arguments)}"
            wanted = comparison.natively(name, [program, *arguments])
            for hook in ("pass", "pass:entry:exit", "count") if FULL or is_first else ("pass:entry:exit",):
                comparison.same(f"{name} under {hook}", wanted, [patched, *arguments], SYSLOAD_HOOK=hook)
            comparison.same(f"{name} by traps alone", wanted, [trapped, *arguments], SYSLOAD_HOOK="none")


def under_run_too(comparison):
    """Of code that is made at run time, nobody but the kernel knows."""
    program = comparison.build("foreign.c", "glibc dynamic")
    for way in WAYS:
        wanted = comparison.natively(f"made {way[0]}", [program, "made", *way])
        comparison.same(f"made {' '.join(way)} under run", wanted,
                        [*under_run("pass:entry:exit"), program, "made", *way])


def without_cleared_handlers(output):
    """There is nothing to serve a trap by, in what a child without sysload's handlers does (docs/limits.md)."""
    return "".join(line for line in output.splitlines(True) if "cleared handlers" not in line)


def all_kinds_of_clone(comparison):
    for build in ("glibc static", "musl dynamic"):
        program = comparison.build("clones.c", build)
        wanted = comparison.natively(build, [program, "flags"])
        for tiers in ((), ("--tiers=D",)):
            patched = comparison.rewritten(program, "--exclude=start", *tiers)
            for hook in ("none",) if tiers else ("pass", "pass:entry:exit", "count"):
                comparison.same(f"{build}, native clones of all kinds {' '.join(tiers)} under {hook}", wanted,
                                [patched, "flags"], without_cleared_handlers if tiers else str, SYSLOAD_HOOK=hook)


def counted(comparison):
    """Every call of theirs, and each once."""
    program = comparison.rewritten(comparison.build("foreign.c", "glibc dynamic"), *OWN)
    members, rounds = int(THREADS) + 1, int(ROUNDS)
    wanted = {"getppid": (members * (rounds + 1), 0), "gettid": (members * (rounds + 1), 0),
              "close": (members * rounds, members * rounds)}
    for maker in ("libc", "native", "made"):
        _, _, said = run([program, maker, "threads", THREADS, ROUNDS], SYSLOAD_HOOK="count")
        rows = {name: (int(calls), int(errors or 0)) for calls, errors, name in ROW.findall(said)}
        comparison.check({name: rows.get(name) for name in wanted} == wanted, f"{maker}: their calls are counted", said)


def counted_of_handlers(comparison):
    """Of calls that others interrupt, too."""
    program = comparison.rewritten(comparison.build("foreign.c", "glibc dynamic"), *OWN)
    _, _, said = run([program, "libc", "handlers", "8", "50"], SYSLOAD_HOOK="count", SAYS_CALLS="1")
    made = re.search(r"^made (\d+)$", said, re.MULTILINE)
    rows = {name: int(calls) for calls, _, name in ROW.findall(said)}
    others = 8 * (50 + 1) + 1  # of answers_are_right(), and who the parent is
    comparison.check(made is not None and rows.get("getppid") == int(made[1]) + others,
                     "calls of handlers that native code has set are counted", said)


def main():
    comparison = Comparison()
    for build in LEFT:
        as_natively(comparison, build)
    under_run_too(comparison)
    all_kinds_of_clone(comparison)
    counted(comparison)
    counted_of_handlers(comparison)
    comparison.end()


main()
