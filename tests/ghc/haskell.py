"""Haskell programs, built with GHC in the ways that it offers."""

import pathlib
import subprocess

PROGRAMS = pathlib.Path(__file__).resolve().parent / "programs"
STATIC = ["-optl-static", "-optl-pthread"]
BFD = ["-optl-fuse-ld=bfd"]
THREADED = ["-threaded", "-rtsopts", "-with-rtsopts=-N2"]

# name: (program, options)
BUILDS = {
    "everyday-O0": ("Everyday", ["-O0"]),
    "everyday-O2": ("Everyday", ["-O2", *THREADED]),
    "everyday-g": ("Everyday", ["-O1", "-g"]),
    "everyday-shared": ("Everyday", ["-O1", "-dynamic", *THREADED]),
    "everyday-static": ("Everyday", ["-O2", *STATIC]),
    "threads-O0": ("Threads", ["-O0", *THREADED]),
    "threads-O2": ("Threads", ["-O2", *THREADED]),
    "threads-static": ("Threads", ["-O2", *THREADED, *STATIC, *BFD]),
    "tables-O0": ("Tables", ["-O0"]),
    "tables-O2": ("Tables", ["-O2", *THREADED]),
    "tables-static": ("Tables", ["-O0", *STATIC]),
}
# GHC prefers gold, whose static programs have no room for --embed=segment.
WITHOUT_ROOM = ("everyday-static", "tables-static")


def tables_source():
    """0x050f is 1295, which needs as many constructors."""
    many = " | ".join(f"C{i}" for i in range(1400))
    fields = "\n  | ".join(f"F{i}" + " a" * (i % 4) + " {-# UNPACK #-} !Word64" * (i % 3) for i in range(1296))
    text = (PROGRAMS / "Tables.hs.in").read_text()
    return text.replace("@MANY@", many).replace("@FIELDS@", fields)


def build(name, work):
    program, options = BUILDS[name]
    folder = work / f"{name}.build"
    folder.mkdir(parents=True)
    source = PROGRAMS / f"{program}.hs"
    if program == "Tables":
        source = folder / "Tables.hs"
        source.write_text(tables_source())
    (folder / "asked.c").write_text((PROGRAMS / "asked.c").read_text())
    done = subprocess.run(["/usr/bin/ghc", "-v0", *options, "-outputdir", folder, "-o", work / name, source,
                           folder / "asked.c"], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{name}: {done.stderr}")
    return work / name
