"""Signal masks, whatever is in them: as natively in every call that carries one, by traps alone, and where calls are
caught (programs/masks.c); and what looks for a signal sees it, wherever the kernel has given it (programs/looks.c).

Sysload lives by SIGTRAP where sites are nothing but poison, and by SIGSYS with --exhaustive: the kernel must not find
them blocked, and the program must not notice.
"""

import os
import shutil

from ways import FULL, SYSLOAD, Comparison

CHANGES = "20000" if FULL else "500"
WAITS = "3000" if FULL else "300"
LOOKS = "200" if FULL else "20"
CROWDED = "2000" if FULL else "60"
SHOWN = "5000" if FULL else "1000"
TAKEN = "5000" if FULL else "300"
PROGRAMS = {
    "masks.c": ([], ["storm", CHANGES], ["waits", WAITS], ["opens", WAITS]),
    "looks.c": ([LOOKS], [LOOKS, "aimed"], [LOOKS, "herd"], [CROWDED, "crowd"], [SHOWN, "shown"], [TAKEN, "taken"]),
}
LOADER = "/lib64/ld-linux-x86-64.so.2"
LIBC = "/lib/x86_64-linux-gnu/libc.so.6"


def by_traps_alone(comparison):
    """A dynamic program whose ld.so and libc hold nothing but poison."""
    folder = comparison.path("traps")
    os.mkdir(folder)
    loader = comparison.rewritten_as(LOADER, os.path.join(folder, "ld.so"), "--tiers=D")
    comparison.rewritten_as(LIBC, os.path.join(folder, "libc.so.6"), "--tiers=D")
    for source, ways in PROGRAMS.items():
        native = shutil.copy(comparison.build(source, "glibc dynamic"), comparison.path("native"))
        patched = comparison.rewritten(
            comparison.build(source, "glibc dynamic", f"-Wl,--dynamic-linker={loader},-rpath={folder}"))
        for arguments in ways:
            wanted = comparison.natively("dynamic", [native, *arguments])
            comparison.same(f"dynamic by traps alone, {source} {' '.join(arguments)}", wanted, [patched, *arguments])


def main():
    comparison = Comparison()
    for source, ways in PROGRAMS.items():
        for build in ("glibc static", "musl static"):
            program = comparison.build(source, build)
            for arguments in ways:
                name = f"{build}, {source} {' '.join(arguments)}"
                comparison.everywhere(name, program, arguments, True, ("none", "pass:entry:exit"), ("D",), run_hooks=())
                wanted = comparison.natively(name, [program, *arguments])
                for tiers in ([], ["--tiers=D"]):
                    caught = [SYSLOAD, "--exhaustive", comparison.rewritten(program, *tiers), *arguments]
                    comparison.same(f"{name} --exhaustive {' '.join(tiers)}", wanted, caught)
    by_traps_alone(comparison)
    comparison.end()


main()
