"""Programs that count descriptors, run at their limits, or forbid themselves system calls (programs/limits.c).

What sysload does while a program runs is seen by a filter that kills: without hooks it makes no calls of its own in a
static program, even where handlers are set and run.
"""

from ways import FULL, HOOKS, Comparison

# With its status. Hooks make calls of their own, which a program's filter has to allow (docs/limits.md).
WAYS = (("descriptors", 0, True), ("files", 0, True), ("memory", 0, True), ("stack", 0, True), ("strict", 44, False),
        ("whitelist", -31, False), ("small", 0, False), ("mdwe", 0, True), ("mdwe_exec", 0, True))


def main():
    comparison = Comparison()
    for build in ("glibc static", "musl static", "glibc dynamic", "musl dynamic"):
        program = comparison.build("limits.c", build)
        is_static = build.endswith("static")
        for way, status, with_hooks in WAYS:
            hooks = (HOOKS if FULL else ("none", "pass:entry:exit")) if with_hooks else ("none",)
            comparison.everywhere(f"{build}, {way}", program, [way], is_static, hooks,
                                  run_hooks=() if is_static else hooks, status=status)
    comparison.end()


main()
