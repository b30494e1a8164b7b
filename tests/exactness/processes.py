"""clone and clone3 with all kinds of flags, and what threads, fork and execve do to each other (programs/clones.c)."""

from ways import FULL, HOOKS, Comparison

FORKS = "1000" if FULL else "60"
# The last word is the status.
WAYS = (("flags", 0), ("exec", 6), ("leaves", 7), ("fork", FORKS, 0), ("early", 0))


def main():
    comparison = Comparison()
    for build in ("glibc static", "musl static", "glibc dynamic", "musl dynamic"):
        program = comparison.build("clones.c", build)
        is_static = build.endswith("static")
        for *way, status in WAYS:
            is_first = build == "glibc static" and way[0] == "flags"
            comparison.everywhere(f"{build}, {' '.join(way)}", program, way, is_static,
                                  HOOKS if FULL or is_first else ("none", "pass:entry:exit"),
                                  tiers=("D",) if is_static and way[0] == "flags" else (),
                                  run_hooks=() if is_static else ("none", "pass:entry:exit"), status=status)
    comparison.end()


main()
