"""What handlers see of a call that they interrupt, and what becomes of what they change there (programs/contexts.c).

Syscalls in windows of five shapes, by the flags of sigaction and of the alternate stack: registers and mask in the
context, calls that are made again, that a handler turns into others, and those that it leaves by setcontext, swapcontext
and siglongjmp.
"""

from ways import FULL, HOOKS, Comparison

TIMES = "5000" if FULL else "500"


def main():
    comparison = Comparison()
    for build in ("glibc static", "musl static", "glibc dynamic", "musl dynamic"):
        program = comparison.build("contexts.c", build)
        is_static = build.endswith("static")
        is_first = build == "glibc static"
        comparison.everywhere(f"{build}, contexts", program, [], is_static, HOOKS if FULL or is_first else ("none", "pass:entry:exit"),
                              ("BD", "CD", "D") if FULL or is_first else (),
                              run_hooks=() if is_static else ("none", "pass:entry:exit"))
        # Where the program's text is all there is of it, each address that a handler sees can be judged.
        if is_static:
            comparison.everywhere(f"{build}, many signals at once", program, [TIMES], True, ("none", "pass:entry:exit"),
                                  run_hooks=())
    comparison.end()


main()
