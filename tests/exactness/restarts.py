"""Calls that the kernel takes up again by restart_syscall: stopped and continued in them, and struck by a signal on the way
(programs/restarts.c)."""

from ways import FULL, HOOKS, Comparison

TRACED = ("trace:output=/dev/null",)


def main():
    comparison = Comparison()
    for build in ("glibc static", "musl static", "glibc dynamic", "musl dynamic"):
        program = comparison.build("restarts.c", build)
        is_static = build.endswith("static")
        is_first = build == "glibc static"
        for way in ("stops", "strikes", "sleeps"):
            comparison.everywhere(f"{build}, {way}", program, [way], is_static,
                                  HOOKS + TRACED if FULL or is_first else ("none", "pass:entry:exit"),
                                  ("D",) if FULL or is_first else (),
                                  run_hooks=() if is_static else ("none", "pass:entry:exit"))
    comparison.end()


main()
