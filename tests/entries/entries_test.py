#!/usr/bin/python3
"""Programs that enter the bytes around a system call in every way that compilers know, and some that
only assembly knows, do the same rewritten.

Each of PROGRAMS is built, and run as it is: it checks itself, and must succeed. Then it is
rewritten, proven, and run again.
"""

import argparse
import pathlib
import subprocess
import sys

GCC = ["/usr/bin/gcc", "-O1", "-nostdlib", "-fno-stack-protector", "-fcf-protection=none",
       "-Wl,-z,noexecstack"]
CLANG = ["/usr/bin/clang", *GCC[1:]]
PACKED = ["-fno-align-labels", "-fno-align-jumps"]
ALIGNED_FIXED, ALIGNED_MOVING = ["-fno-pie", "-static"], ["-fpie", "-static-pie"]
FIXED, MOVING = [*PACKED, *ALIGNED_FIXED], [*PACKED, *ALIGNED_MOVING]
NAMELESS = ["-fno-asynchronous-unwind-tables", "-s"]
THUNK, INLINE = ["-mindirect-branch=thunk"], ["-mindirect-branch=thunk-inline"]
HIGH = ["-fno-pie", "-static", "-mcmodel=large", "-Wl,-Ttext-segment=0x200000000"]

COMPLETE, INCOMPLETE = 0, 3  # what sysrewrite ends with; the second names what it left alone

# name: (compiler, options, sources), and what sysrewrite ends with where that is not COMPLETE
PROGRAMS = {
    "a switch above 4 GiB": (CLANG, HIGH, ["switch.c"]),
    "a switch with distances of 64 bits":
        (GCC, ["-fpie", "-static-pie"], ["main.c", "far_table.S"]),
    "a switch that counts from the global offset table":
        (CLANG, ["-fpie", "-static-pie", "-mcmodel=medium"], ["switch.c"]),
    "a switch that counts from the global offset table, large":
        (CLANG, ["-fpie", "-static-pie", "-mcmodel=large"], ["switch.c"]),
    "an instruction inside another": (GCC, ["-static"], ["main.c", "hidden.S"]),
    "a syscall without its prefix": (GCC, ["-static"], ["main.c", "prefixed.S"], INCOMPLETE),
    "distances between labels": (GCC, MOVING, ["labels.c"]),
    "distances between labels, by a thunk": (GCC, [*MOVING, *THUNK], ["labels.c"]),
    "distances between labels, by an inline thunk": (GCC, [*MOVING, *INLINE], ["labels.c"]),
    "distances between labels, fixed": (GCC, FIXED, ["labels.c"]),
    "distances between labels, nameless": (GCC, [*MOVING, *NAMELESS], ["labels.c"]),
    "distances between labels, nameless, by a thunk":
        (GCC, [*MOVING, *NAMELESS, *THUNK], ["labels.c"]),
    "distances between labels, nameless, by an inline thunk":
        (GCC, [*MOVING, *NAMELESS, *INLINE], ["labels.c"]),
    "distances between labels, nameless and fixed": (GCC, [*FIXED, *NAMELESS], ["labels.c"]),
    "constants among code": (GCC, ["-static"], ["constants.S"]),
    "constants among code, nameless": (GCC, ["-static", "-s"], ["constants.S"]),
    "masks behind code": (GCC, ["-static"], ["masks.S"]),
    "masks behind code, in a section of their own, nameless":
        (GCC, ["-static", "-DIN_A_SECTION", "-Wl,-z,noseparate-code", "-s"], ["masks.S"]),
    "code that writes and reads itself": (GCC, ["-static"], ["written.S"], INCOMPLETE),
    "code that writes and reads itself, nameless":
        (GCC, ["-static", "-s"], ["written.S"], INCOMPLETE),
    "a label in front of padding": (CLANG, ALIGNED_MOVING, ["aligned.c"]),
    "a label in front of padding, counted from the global offset table":
        (CLANG, [*ALIGNED_MOVING, "-mcmodel=medium"], ["aligned.c"]),
    "a label in front of padding, fixed": (CLANG, ALIGNED_FIXED, ["aligned.c"]),
    "a label in front of padding, nameless": (CLANG, [*ALIGNED_MOVING, *NAMELESS], ["aligned.c"]),
    "a label in front of padding, nameless and fixed":
        (CLANG, [*ALIGNED_FIXED, *NAMELESS], ["aligned.c"]),
}


class Failure(Exception):
    pass


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def check(sysrewrite, sysload, sources, work, program):
    compiler, options, files, expected = (*program, COMPLETE)[:4]
    native, patched = work / "native", work / "patched"
    status, out, err = run(*compiler, *options, *(sources / file for file in files), "-o", native)
    if status != 0:
        raise Failure(f"it does not build: {out}{err}")
    ran = run(native)
    if ran[0] != 0 or "ok" not in ran[1]:
        raise Failure(f"natively: status {ran[0]}, {ran[1]}{ran[2]}")
    patched.unlink(missing_ok=True)
    status, out, err = run(sysrewrite, "-q", "--interp", sysload, native, patched)
    if status != expected:
        raise Failure(f"sysrewrite: status {status}, {out}{err}")
    status, out, err = run(sysrewrite, "verify", patched, "--against", native)
    if status != 0:
        raise Failure(f"verify: status {status}, {out}{err}")
    again = run(patched)
    if again != ran:
        raise Failure(f"rewritten: status {again[0]}, {again[1]}{again[2]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sysrewrite", type=pathlib.Path)
    parser.add_argument("sysload", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path, help="a directory to write to")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    sources = pathlib.Path(__file__).resolve().parent
    failures = 0
    for name, program in PROGRAMS.items():
        try:
            check(arguments.sysrewrite.resolve(), arguments.sysload.resolve(), sources, work, program)
            print(f"ok      {name}")
        except (Failure, subprocess.TimeoutExpired) as failure:
            print(f"FAILURE {name}: {failure}")
            failures += 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
