"""Poison is served whatever the machine says of it: by SIGTRAP that names its first byte or its second, or by SIGSEGV.

A tracer (programs/machine.c) makes each machine of the one that the test runs on.
"""

import re

from ways import Comparison, run


def main():
    comparison = Comparison()
    for build in ("glibc static", "musl static"):
        program = comparison.build("machine.c", build)
        trapped, jumping = comparison.rewritten(program, "--tiers=D"), comparison.rewritten(program)
        # While SIGSEGV is blocked a fault kills.
        for machine, word in (("first", "blocks"), ("second", "blocks"), ("fault", "calls"), ("merged", "answers"),
                              ("first", "strays"), ("second", "strays"), ("merged", "strays")):
            wanted = comparison.natively(f"{build}, {machine}", [program, machine, program, word])
            # In one without sites of tier D nobody watches over the mask.
            rewritten = jumping if word == "strays" else trapped
            for hook in ("none", "pass:entry:exit"):
                found = run([program, machine, rewritten, word], SYSLOAD_HOOK=hook)
                traps = re.search(r"^(\d+) traps$", found[2], re.MULTILINE)
                good = found[:2] == wanted[:2] and traps is not None and int(traps[1]) >= 100
                comparison.check(good, f"{build}, {machine} {word}, under {hook}", f"natively {wanted}\nfound {found}")
    comparison.end()


main()
