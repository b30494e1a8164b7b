"""Processes with threads that fork, generation after generation, grow no more than natively (programs/generations.c)."""

from ways import HOOKS, Comparison


def main():
    comparison = Comparison()
    for build in ("glibc static", "musl static", "glibc dynamic"):
        program = comparison.build("generations.c", build)
        comparison.everywhere(f"{build}, generations", program, [], build.endswith("static"), HOOKS, ("D",),
                              run_hooks=() if build.endswith("static") else ("none", "pass:entry:exit"))
    comparison.end()


main()
