"""Signals where the user may have none queued (RLIMIT_SIGPENDING): none is lost, and none its siginfo, in hooks either
(programs/pending.c).

A signal that strikes in a hook is sent again, and the kernel then has no place for it.
"""

from ways import FULL, Comparison

COUNT = "20000" if FULL else "1000"
# The lines of trace are thousands, and no matter here.
HOOKS = ("none", "pass:entry:exit", "count", "trace:output=/dev/null")


def main():
    comparison = Comparison()
    for build in ("glibc static", "musl static", "glibc dynamic", "musl dynamic"):
        program = comparison.build("pending.c", build)
        comparison.everywhere(f"{build}, pending", program, [COUNT], build.endswith("static"), HOOKS, ("D",),
                              run_hooks=() if build.endswith("static") else ("none", "count"))
    comparison.end()


main()
