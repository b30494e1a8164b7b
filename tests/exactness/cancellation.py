"""pthread_cancel, in every libc, finds a thread where it would find it unpatched.

musl cancels a thread only while rip is between two labels of its own; glibc cancels by an exception from rip. A thread
that is not cancelled hangs the program (programs/cancel.c).
"""

from ways import BUILDS, FULL, HOOKS, Comparison

COUNT = "10000" if FULL else "1000"


def main():
    comparison = Comparison()
    for build in BUILDS:
        is_static = build.endswith("static")
        # Cancelling is musl's own business, and of glibc's unwinder; each hook once.
        hooks = HOOKS if FULL or build == "musl static" else ("none", "pass:entry:exit")
        # With -fexceptions glibc runs the cleanups that it finds by unwinding from rip; without, a list of them.
        program = comparison.build("cancel.c", build, *(["-fexceptions"] if build.startswith("glibc") else []))
        comparison.everywhere(f"{build} cancels {COUNT} threads", program, [COUNT], is_static, hooks, run_hooks=("none",) if is_static else ("none", "pass:entry:exit"))
    comparison.end()


main()
