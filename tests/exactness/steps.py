"""A program that steps itself by TF (programs/steps.c): what its handler is shown over calls, in windows of every kind.

Under hooks it is not stepped behind a call (docs/limits.md), but it gets over it.
"""

from ways import Comparison, run, under_run


def main():
    comparison = Comparison()
    for build in ("glibc static", "musl static"):
        program = comparison.build("steps.c", build)
        wanted = comparison.natively(f"{build}, steps", [program])
        for tiers in ([], ["--tiers=AC"], ["--tiers=BC"], ["--tiers=C"], ["--tiers=AB"]):
            comparison.same(f"{build}, steps {' '.join(tiers)}", wanted, [comparison.rewritten(program, *tiers)])
        for tiers in ([], ["--tiers=D"]):
            for hook in ("none", "pass:entry:exit"):
                ended = run([comparison.rewritten(program, *tiers)], SYSLOAD_HOOK=hook)
                comparison.check(ended[0] == 0, f"{build}, steps {' '.join(tiers)} under {hook} end", ended)
    for build in ("glibc dynamic", "musl dynamic"):
        program = comparison.build("steps.c", build)
        wanted = comparison.natively(f"{build}, steps", [program])
        comparison.same(f"{build}, steps under run", wanted, [*under_run("none"), program])
    comparison.end()


main()
