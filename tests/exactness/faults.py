"""What siginfo says of where a signal was raised (programs/faults.c), and what kills a program.

places  the addresses of siginfo are the program's own, in windows too, and that of a filter's SIGSYS is rip: sandboxes
        compare the two
deaths  what is fatal kills, by the same signal, whether or not it would happen again
"""

import sys

from ways import FULL, HOOKS, Comparison


def main():
    what = sys.argv[1]
    comparison = Comparison()
    for build in ("glibc static", "musl static", "glibc dynamic", "musl dynamic"):
        program = comparison.build("faults.c", build)
        is_static = build.endswith("static")
        hooks = HOOKS if FULL else ("none", "pass:entry:exit")
        comparison.everywhere(f"{build}, {what}", program, [what], is_static, hooks)
        if is_static:
            by_traps = [what, "traps"]
            comparison.everywhere(f"{build}, {what} by traps", program, by_traps, True, (), ("D",), run_hooks=())
    comparison.end()


main()
