"""A program that steps itself by TF (programs/steps.c): what its handler is shown over calls, in windows of every kind.
Under hooks, too, which let calls pass, see their ends, or both, and where the calls are caught.
"""

from ways import SYSLOAD, Comparison, under_run


def main():
    comparison = Comparison()
    for build in ("glibc static", "musl static"):
        program = comparison.build("steps.c", build)
        wanted = comparison.natively(f"{build}, steps", [program])
        for tiers in ([], ["--tiers=AC"], ["--tiers=BC"], ["--tiers=C"], ["--tiers=AB"]):
            comparison.same(f"{build}, steps {' '.join(tiers)}", wanted, [comparison.rewritten(program, *tiers)])
        for tiers in ([], ["--tiers=D"]):
            for hook in ("none", "pass:entry", "pass:exit", "pass:entry:exit", "pass:entry:exit:vectors", "count"):
                patched = [comparison.rewritten(program, *tiers)]
                comparison.same(f"{build}, steps {' '.join(tiers)} under {hook}", wanted, patched, SYSLOAD_HOOK=hook)
        for tiers in ([], ["--tiers=D"]):
            caught = [SYSLOAD, "--exhaustive", comparison.rewritten(program, *tiers)]
            comparison.same(f"{build}, steps {' '.join(tiers)} --exhaustive", wanted, caught)
    for build in ("glibc dynamic", "musl dynamic"):
        program = comparison.build("steps.c", build)
        wanted = comparison.natively(f"{build}, steps", [program])
        comparison.same(f"{build}, steps under run", wanted, [*under_run("none"), program])
    comparison.end()


main()
