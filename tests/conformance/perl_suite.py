"""perl_suite.py [FILE...]: perl's core tests, run by the installed perl: natively and under `sysrewrite run`.

They are those of the source package (perl_source.py): t/, lib/ and the modules that are about what the kernel does.
"""

import fnmatch
import glob
import os
import re
import subprocess
import sys
import tempfile
import threading

from perl_source import perl_tree
from suites import CACHE, Comparison, Folder, execute, under_run

# t/ without what looks at the source itself, and what needs gigabytes or hours.
FOLDERS = ("base", "cmd", "comp", "io", "lib", "mro", "op", "opbasic", "re", "run", "uni")
MODULES = ("cpan/File-Temp", "cpan/IO-Socket-IP", "cpan/IPC-Cmd", "cpan/IPC-SysV", "cpan/Scalar-List-Utils", "cpan/Socket",
           "cpan/Sys-Syslog", "dist/IO", "dist/PathTools", "dist/Storable", "dist/Thread-Queue", "dist/Thread-Semaphore",
           "dist/Tie-File", "dist/Time-HiRes", "dist/threads", "dist/threads-shared", "ext/Errno", "ext/Fcntl",
           "ext/File-Find", "ext/FileCache", "ext/GDBM_File", "ext/I18N-Langinfo", "ext/IPC-Open3", "ext/POSIX",
           "ext/PerlIO-encoding", "ext/PerlIO-scalar", "ext/PerlIO-via", "ext/SDBM_File", "ext/Sys-Hostname")
# What perl's own t/TEST gives these: absolute names.
ABSOLUTE = ("cpan/IPC-Cmd", "cpan/IPC-SysV", "dist/Tie-File")
# What is left out, each with its reason; everything else runs.
LEFT_OUT = {
    "lib/B/Deparse*.t": "compiles and prints for minutes, and makes hardly a call",
    "lib/Benchmark.t": "measures how long things take, and differs by the load",
    "lib/Unicode/UCD.t": "compares tables of characters for minutes, without a call",
    "lib/charnames.t": "compares tables of characters for minutes, without a call",
    "t/re/fold_grind*.t": "compares tables of characters for minutes, without a call",
    "t/re/uniprops*.t": "compares tables of characters for minutes, without a call",
}
SECONDS = 300
EXPLAINED = {}


def words(tree, test):
    """Where and how perl's own t/TEST would start it."""
    with open(os.path.join(tree, test), encoding="latin-1") as file:
        taint = re.search(r"^#!.*\bperl.*\s-\w*([tT])", file.readline())
    switches = [f"-{taint.group(1)}"] if taint else []
    parts = test.split("/")
    if parts[0] in ("ext", "dist", "cpan"):
        module = "/".join(parts[:2])
        init = "U2T,A" if module in ABSOLUTE else "U2T"
        return module, ["../../t/perl", "-I../../lib", "-I../..", f"-MTestInit={init}", *switches, "/".join(parts[2:])]
    if parts[0] == "lib":
        return "t", ["./perl", "-I../lib", "-I..", "-MTestInit=U1", *switches, "../" + test]
    init = [] if parts[1] in ("base", "comp", "run") else ["-I..", "-MTestInit"]
    return "t", ["./perl", "-I../lib", *init, *switches, "/".join(parts[1:])]


def results(output):
    """What the test says of each of its numbered cases; what they are called may hold an address or a time."""
    found = {}
    for bad, number, rest in re.findall(r"^(not )?ok (\d+)(.*)$", output, re.MULTILINE):
        directive = re.search(r"# *(skip|todo)", rest, re.IGNORECASE)
        again, case = 1, number
        while case in found:
            again += 1
            case = f"{number} ({again})"
        found[case] = " ".join(["not ok" if bad else "ok", *([directive.group(1).lower()] if directive else [])])
    return found


class Trees:
    """Tests write beside themselves, so each thread has a tree for its native runs, and one for the others.

    To make new ones for each test would take longer than most tests."""

    def __init__(self, folder):
        self.folder, self.source, self.of_thread = folder, perl_tree(CACHE), threading.local()

    def place(self, is_patched):
        if not hasattr(self.of_thread, "places"):
            own = tempfile.mkdtemp(dir=self.folder)
            self.of_thread.places = [os.path.join(own, name) for name in ("1", "2")]
            for path in self.of_thread.places:
                subprocess.run(["cp", "-a", self.source, path], check=True)
        return self.of_thread.places[is_patched]

    def run(self, test, is_patched):
        place = self.place(is_patched)
        start, command = words(place, test)
        with Folder() as folder:
            outcome = execute(under_run(command) if is_patched else command, os.path.join(place, start), SECONDS,
                              HOME=folder, TMPDIR=folder)
        found = results(outcome.output)
        found["(the file)"] = f"status {outcome.status}"
        return found, outcome.output


def tests_in(tree):
    patterns = [f"t/{name}/*.t" for name in FOLDERS] + ["lib/**/*.t"] + [f"{module}/t/**/*.t" for module in MODULES]
    tests = {test for pattern in patterns for test in glob.glob(pattern, root_dir=tree, recursive=True)}
    return sorted(test for test in tests if not any(fnmatch.fnmatchcase(test, left) for left in LEFT_OUT))


def main():
    with Folder() as folder:
        trees = Trees(folder)
        comparison = Comparison("perl", trees.run, EXPLAINED)
        for name, reason in LEFT_OUT.items():
            print(f"left out: {name}: {reason}")
        comparison.all(*((sys.argv[1:], 1) if len(sys.argv) > 1 else (tests_in(trees.source), 300000)))


if __name__ == "__main__":
    main()
