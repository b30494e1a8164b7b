"""Restartable sequences that a program registers for itself (programs/sequences.c): the area is the program's alone, and sums
of what is counted on each processor are right whatever interrupts.

musl registers none, and glibc is told to register none.
"""

import os

from ways import FULL, HOOKS, Comparison


def main():
    os.environ["GLIBC_TUNABLES"] = "glibc.pthread.rseq=0"
    comparison = Comparison()
    for build in ("musl static", "glibc static", "musl dynamic"):
        program = comparison.build("sequences.c", build)
        is_static = build.endswith("static")
        is_first = build == "musl static"
        comparison.everywhere(f"{build}, sequences", program, [], is_static, HOOKS if FULL or is_first else ("none", "pass:entry:exit"),
                              ("D",) if FULL or is_first else (), run_hooks=() if is_static else ("none", "pass:entry:exit"))
    comparison.end()


main()
