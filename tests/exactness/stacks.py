"""Alternate signal stacks are the program's, and none where it has none (programs/stacks.c)."""

from ways import FULL, HOOKS, Comparison


def main():
    comparison = Comparison()
    for build in ("glibc static", "musl static", "glibc dynamic", "musl dynamic"):
        is_static = build.endswith("static")
        comparison.everywhere(f"{build}, alternate stacks", comparison.build("stacks.c", build), [], is_static,
                              HOOKS if FULL or build == "glibc static" else ("none", "pass:entry:exit"), ("D",),
                              run_hooks=() if is_static else ("none", "pass:entry:exit"))
    comparison.end()


main()
