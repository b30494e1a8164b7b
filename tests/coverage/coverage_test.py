#!/usr/bin/python3
"""In the usual C libraries, languages and sanitizers every system call becomes a jump.

For each of LIBRARIES and PROGRAMS: no site is trapped or left native, and no pair is left uncertain,
so a rewrite ends with status 0. What is not so must be in EXCEPTIONS, with its number and why.

A libc's archive is linked whole, so that all of its calls are looked at and not the few that one
program has; the others are looked at as their packages bring them.
"""

import argparse
import collections
import glob
import json
import pathlib
import subprocess
import sys

LIB = "/usr/lib/x86_64-linux-gnu"
SANITIZERS = "/usr/lib/llvm-14/lib/clang/*/lib/linux/libclang_rt"

# name: (what to look at, the fewest sites in all of it)
LIBRARIES = {
    "glibc": ([f"{LIB}/libc.so.6", f"{LIB}/libpthread.so.0"], 500),
    "glibc's ld.so": ([f"{LIB}/ld-linux-x86-64.so.2"], 30),
    "static glibc": (["/usr/bin/bash-static", "/usr/bin/busybox", "/usr/sbin/ldconfig"], 500),
    "musl": (["/usr/lib/x86_64-linux-musl/libc.so"], 450),
    "Go": (["/usr/lib/go-*/bin/*", "/usr/lib/go-*/pkg/tool/linux_amd64/*"], 500),
    # They leave their calls to libc; the static program below has libc's.
    "Rust": ([f"{LIB}/libstd-*.so", f"{LIB}/librustc_driver-*.so", "/usr/bin/rustc"], 0),
    "Free Pascal": ([f"{LIB}/fpc/*/ppcx64*", "/usr/bin/*-3.2.2"], 9),
    "klibc": (["/usr/lib/klibc/lib/libc.so", "/usr/lib/klibc/bin/*", "/usr/lib/klibc-*.so",
               "/lib/klibc-*.so"], 10),
    "dietlibc": ([f"{LIB}/diet/bin/*"], 3),
    "gcc's sanitizers": ([f"{LIB}/lib{name}.so.*" for name in ("asan", "lsan", "tsan", "ubsan")], 200),
    "clang's sanitizers": ([f"{SANITIZERS}.*-x86_64.so"], 300),
}

# name: (command that links it to {out}, the fewest sites)
WHOLE = "--unresolved-symbols=ignore-all --allow-multiple-definition -e main --whole-archive"
PROGRAMS = {
    "musl's archive": (f"ld -static -o {{out}} {WHOLE} /usr/lib/x86_64-linux-musl/libc.a", 450),
    "dietlibc's archive": (f"ld -static -o {{out}} {WHOLE} {LIB}/diet/lib-x86_64/libc.a", 4),
    "klibc's archive": (f"ld -static -o {{out}} {WHOLE} /usr/lib/klibc/lib/libc.a", 3),
    "dietlibc's program": ("diet gcc -O2 -o {out} {source}", 1),
    "klibc's program": ("klcc -O2 -o {out} {source}", 1),
    "Go's program": ("/usr/bin/go build -o {out} {fixtures}/go/main.go", 30),
    "Rust's static program": ("/usr/bin/rustc -O -C target-feature=+crt-static -o {out} "
                              "{fixtures}/rust/everyday.rs", 50),
    "Free Pascal's program": ("/usr/bin/fpc -O2 -v0 -FU{work} -o{out} "
                              "{fixtures}/pascal/everyday.pas", 9),
}

SOURCE = """#include <stdio.h>
#include <unistd.h>
int main(void) { printf("%d\\n", (int)getpid()); return 0; }
"""

# (name above, what is wrong, in words of `reason` or `evidence`): (how many at most, why it stays)
EXCEPTIONS = {}


def is_elf(path):
    with open(path, "rb") as file:
        return file.read(5) == b"\x7fELF\x02"


def files_of(patterns):
    found = {pathlib.Path(path).resolve() for pattern in patterns for path in glob.glob(pattern)}
    return sorted(path for path in found if path.is_file() and is_elf(path))


class Coverage:
    def __init__(self, command, fixtures, work):
        self.command, self.fixtures, self.work, self.problems = command, fixtures, work, []

    def look(self, name, files, least):
        tiers, wrong = collections.Counter(), collections.defaultdict(list)
        for path in files:
            said = self.inspected(path)
            tiers.update(site["tier"] for site in said["sites"])
            self.find_wrong(path, said, wrong)
            if not wrong:
                self.rewrite(path)
        sites = sum(tiers.values())
        print(f"{name}: {len(files)} files, {sites} sites: " +
              ", ".join(f"{tiers[tier]} {tier}" for tier in "ABC"))
        if sites < least:
            self.problems.append(f"{name}: {sites} sites in {len(files)} files, expected {least}")
        for what, where in wrong.items():
            most, why = EXCEPTIONS.get((name, what), (0, ""))
            print(f"  {len(where)}x {what}, as {where[0]}: {why}")
            if len(where) > most:
                self.problems += [f"{name}: {place}: {what}" for place in where]

    def inspected(self, path):
        done = subprocess.run([self.command, "inspect", "--json", path], capture_output=True,
                              text=True, check=True)
        return json.loads(done.stdout)

    @staticmethod
    def find_wrong(path, said, wrong):
        for site in said["sites"]:
            if site["tier"] not in "ABC":
                wrong[site["reason"]].append(f"{path} {site['address']:#x} {site['symbol']}")
        for pair in said["pairs"]:
            if pair["class"] == "uncertain":
                wrong[pair["evidence"]].append(f"{path} {pair['address']:#x} {pair['symbol']}")

    def rewrite(self, path):
        """What inspect says is what happens: exit status 0 has no site trapped without a word."""
        out = self.work / "out"
        done = subprocess.run([self.command, "-q", "--force", "--no-interp", path, out],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.problems.append(f"{path}: exit status {done.returncode}: {done.stderr.strip()}")

    def link(self, command):
        source, program = self.work / "program.c", self.work / "program"
        source.write_text(SOURCE)
        program.unlink(missing_ok=True)
        words = command.format(out=program, source=source, fixtures=self.fixtures, work=self.work)
        cache = {"HOME": str(self.work), "GOCACHE": str(self.work / "go"), "GO111MODULE": "off",
                 "PATH": "/usr/bin:/bin"}
        subprocess.run(words.split(), check=True, env=cache, cwd=self.work,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return program


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", help="the sysrewrite to ask")
    parser.add_argument("fixtures", type=pathlib.Path, help="the sources of the fixtures")
    parser.add_argument("work", type=pathlib.Path, help="a directory to write to")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    coverage = Coverage(arguments.command, arguments.fixtures.resolve(),
                        arguments.work.resolve())
    for name, (patterns, least) in LIBRARIES.items():
        coverage.look(name, files_of(patterns), least)
    for name, (command, least) in PROGRAMS.items():
        coverage.look(name, [coverage.link(command)], least)
    for problem in coverage.problems:
        print(f"FAILURE {problem}")
    return 1 if coverage.problems else 0


if __name__ == "__main__":
    sys.exit(main())
