"""Signals that strike where alignment is checked and rsp is odd: what the kernel leaves set is set in sysload's own code, too
(programs/struck.c)."""

from ways import FULL, HOOKS, Comparison


def main():
    comparison = Comparison()
    for build in ("glibc static", "musl static", "glibc dynamic", "musl dynamic"):
        program = comparison.build("struck.c", build)
        is_static = build.endswith("static")
        is_first = build == "glibc static"
        comparison.everywhere(f"{build}, struck", program, [], is_static,
                              (*HOOKS, "trace:output=/dev/null") if FULL or is_first else ("none", "pass:entry:exit"),
                              ("D",) if FULL or is_first else (),
                              run_hooks=() if is_static else ("none", "pass:entry:exit"))
    comparison.end()


main()
