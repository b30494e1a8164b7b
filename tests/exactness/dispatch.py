"""Syscall User Dispatch of a program's own (programs/dispatch.c): as natively without hooks; with them it is told EINVAL.

The program is static: where it is dynamic, its own calls between setting the selector and clearing it are the same.
"""

from ways import Comparison, run, under_run

LINE = "sysload: hooks: the program asks for Syscall User Dispatch, which it cannot have under hooks, with --exhaustive, or where "\
       "sites are of tier D: it is told EINVAL\n"
REFUSED = "on: 22\noff, wrongly: 22\noff: 0\na call behind it: made\n"


def main():
    comparison = Comparison()
    for build in ("glibc static", "musl static"):
        program = comparison.build("dispatch.c", build)
        wanted = comparison.natively(build, [program])
        comparison.check(wanted[1].count("caught: call 110, code 2, si_call_addr behind it, rip behind it, rax 110") == 3 and
                         "a thread's call: made" in wanted[1], f"{build}: the kernel has it", wanted)
        rewritten = comparison.rewritten(program)
        comparison.same(f"{build} under none", wanted, [rewritten], SYSLOAD_HOOK="none")
        comparison.same(f"{build} under run", wanted, [*under_run("none"), program])
        exhaustive = [*under_run("none")[:-1], "--exhaustive", "--", program]
        for way, words, hook in (("pass", [rewritten], "pass"), ("pass:entry:exit", [rewritten], "pass:entry:exit"),
                                 ("tier D", [comparison.rewritten(program, "--tiers=D")], "none"),
                                 ("run and count", [*under_run("count:output=/dev/null"), program], "none"),
                                 ("exhaustive", exhaustive, "none")):
            found = run(words, SYSLOAD_HOOK=hook)
            comparison.check(found[:2] == (0, REFUSED) and found[2].count(LINE) == 1, f"{build}, {way}: EINVAL, and a line", found)
    comparison.end()


main()
