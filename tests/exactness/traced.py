"""A traced program with sites that are served by traps says so once, and runs: strace hands SIGTRAP on, as not every debugger does."""

from ways import Comparison, run

STRACE = ["strace", "-f", "-qq", "-o", "/dev/null"]


def main():
    comparison = Comparison()
    program = comparison.build("group.c", "glibc static")
    wanted = run([program, "1"])
    comparison.check(wanted == (0, "all of it\n", ""), "natively", wanted)
    jumps, traps = comparison.rewritten(program), comparison.rewritten(program, "--tiers=D")
    line = (f"sysload: trap: {traps} is traced, and has sites of tier D: a debugger that keeps SIGTRAP to itself stops at the first "
            "of them for ever (sysrewrite inspect lists them)\n")
    for name, command, said in (("jumps", [jumps], ""), ("traps", [traps], ""), ("jumps, traced", [*STRACE, jumps], ""),
                                ("traps, traced", [*STRACE, traps], line)):
        for hook in ("none", "pass:entry:exit"):
            found = run([*command, "1"], SYSLOAD_HOOK=hook)
            comparison.check(found == (*wanted[:2], said), f"{name}, under {hook}", found)
    comparison.end()


main()
