"""Handlers set and run where alignment is checked, and actions at the edge of what may be read (programs/strict.c)."""

from ways import Comparison


def main():
    comparison = Comparison()
    for build in ("glibc static", "musl static", "glibc dynamic", "musl dynamic"):
        program = comparison.build("strict.c", build)
        comparison.everywhere(f"{build}, alignment checked", program, [], build.endswith("static"),
                              ("none", "pass:entry:exit"))
    comparison.end()


main()
