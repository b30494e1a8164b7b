"""What siginfo says of where a signal was raised (programs/faults.c).

Its addresses are the program's own, in windows too, and that of a filter's SIGSYS is rip: sandboxes compare the two.
"""

import sys

from ways import FULL, HOOKS, Comparison


def main():
    what = sys.argv[1]
    comparison = Comparison()
    for build in ("glibc static", "musl static", "glibc dynamic", "musl dynamic"):
        program = comparison.build("faults.c", build)
        hooks = HOOKS if FULL else ("none", "pass:entry:exit")
        comparison.everywhere(f"{build}, {what}", program, [what], build.endswith("static"), hooks, ("D",))
    comparison.end()


main()
