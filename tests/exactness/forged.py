"""Signals that a program queues to itself with the si_code of a fault, while it has blocked them (programs/forged.c).

The kernel delivers those before the signal of a trap, blocked or not, and poison is a trap.
"""

from ways import SYSLOAD, Comparison


def main():
    comparison = Comparison()
    for build in ("glibc static", "musl static"):
        program = comparison.build("forged.c", build)
        comparison.everywhere(f"{build}, forged", program, [], True, ("none", "pass:entry:exit"), ("D",), run_hooks=())
        wanted = comparison.natively(f"{build}, forged", [program])
        for tiers in ([], ["--tiers=D"]):
            caught = [SYSLOAD, "--exhaustive", comparison.rewritten(program, *tiers)]
            comparison.same(f"{build}, forged --exhaustive {' '.join(tiers)}", wanted, caught)
    comparison.end()


main()
