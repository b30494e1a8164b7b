"""sigaction, posix_spawn and vfork: what programs set, and are said to have set, is as natively (programs/actions.c).

SIGTRAP and SIGSEGV are sysload's, too, where a program has poisoned sites: tiers D has nothing but such.
"""

from ways import FULL, Comparison

COUNT = "20000" if FULL else "2000"
WAYS = (("old",), ("reset",), ("bad",), ("spawn",), ("many", COUNT), ("many", COUNT, "without SIGTRAP"), ("threads", COUNT))


def main():
    comparison = Comparison()
    for build in ("glibc static", "musl static", "glibc dynamic", "musl dynamic"):
        program = comparison.build("actions.c", build)
        is_first = build == "glibc static"
        for way in WAYS:
            if FULL or is_first or way[0] in ("old", "spawn"):
                comparison.everywhere(f"{build}, {' '.join(way)}", program, way, build.endswith("static"),
                                      ("none", "pass:entry:exit"), ("BD", "D") if FULL else ("D",) if is_first else (),
                                      run_hooks=() if build.endswith("static") else ("none", "pass:entry:exit"))
    comparison.end()


main()
