"""In a group with a limit of memory a program fits in, or is killed, as natively (programs/group.c).

The group is of whichever hierarchy this machine has, and needs the rights to make one: 77, which is a skip, where there is none.
"""

import errno
import os
import sys
import time

from ways import FULL, HOOKS, Comparison, run, under_run

LIMIT = 48 << 20
JOIN = 'echo $$ >"$GROUP/cgroup.procs" && exec "$0" "$@"'


def make_group():
    """Its folder, with a limit of memory set."""
    for root, limit, swap in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
                              ("/sys/fs/cgroup", "memory.max", "memory.swap.max")):
        group = os.path.join(root, f"sysrewrite-test-{os.getpid()}")
        try:
            if limit == "memory.max":
                with open(os.path.join(root, "cgroup.subtree_control"), "w", encoding="ascii") as file:
                    file.write("+memory")
            os.mkdir(group)
        except OSError:
            continue
        if os.path.exists(os.path.join(group, limit)):
            for name, value in ((limit, LIMIT), (swap, 0 if swap == "memory.swap.max" else LIMIT)):
                if os.path.exists(os.path.join(group, name)):
                    with open(os.path.join(group, name), "w", encoding="ascii") as file:
                        file.write(str(value))
            return group
        os.rmdir(group)
    return None


def commands(comparison, program, arguments, is_static):
    """All ways of a program: their names, words and environment."""
    hooks = HOOKS if FULL else ("none", "pass:entry:exit")
    if is_static:
        rewritten = comparison.rewritten(program)
        for hook in hooks:
            yield f"under {hook}", [rewritten, *arguments], {"SYSLOAD_HOOK": hook}
        yield "tier D", [comparison.rewritten(program, "--tiers=D"), *arguments], {}
    for hook in hooks:
        yield f"under run and {hook}", [*under_run(hook), program, *arguments], {}


def remove(group):
    """The kernel gives it back a moment after its last process has ended."""
    while True:
        try:
            return os.rmdir(group)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            time.sleep(0.05)


def joined(words):
    return ["/bin/sh", "-c", JOIN, *words]


def main():
    group = make_group()
    if group is None:
        print("skipped: no group with a limit of memory can be made here (as root, with the memory controller)")
        sys.exit(77)
    comparison = Comparison()
    os.environ["GROUP"] = group
    try:
        for build in ("glibc static", "musl static", "glibc dynamic", "musl dynamic") if FULL else ("glibc static", "musl dynamic"):
            program = comparison.build("group.c", build)
            for mebibytes, status in (("24", 0), ("64", -9)):
                wanted = run(joined([program, mebibytes]))
                comparison.check(wanted[:2] == (status, "" if status else "all of it\n"), f"{build}, {mebibytes} MiB, natively",
                                 wanted)
                for way, words, environment in commands(comparison, program, [mebibytes], build.endswith("static")):
                    as_shell = (137, *wanted[1:]) if status < 0 and " run " in f" {way} " else wanted
                    comparison.same(f"{build}, {mebibytes} MiB of 48, {way}", as_shell, joined(words), **environment)
    finally:
        remove(group)
    comparison.end()


main()
