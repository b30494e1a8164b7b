#!/usr/bin/python3
"""Compares what `inspect` says of every `0f 05` pair with what objdump and LLVM read there.

Of each file all pairs are taken, found by a search of our own in the executable segments. Where a
symbol or an unwind table names a function around the pair, both disassemblers read straight on from
its start; where none does, from eight places in front. They are told nothing else: see sweep.py. A
pair must be what all of them read: a `syscall`, or inside the instruction with the same start. And
they must come by each instruction of the window that a rewrite would take.

Each difference is printed, and must have an explanation in explanations.py: a condition on the file
and on the readings, never on our own word. One without is a failure.

--plant gives wrong answers, one at a time, and succeeds if each is found.
"""

import argparse
import collections
import concurrent.futures
import functools
import json
import os
import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import corpus  # noqa: E402
import plants  # noqa: E402
from comparison import Comparison  # noqa: E402
from explanations import EXPLANATIONS  # noqa: E402

# A compiler's, a language's or a library's own way to write code; one of each line must be there.
KINDS = (("libc.so.6",), ("ld-linux-x86-64.so.2",), ("x86_64-linux-musl/libc.so",),
         ("klibc/lib/libc.so",), ("diet/bin/*",), ("libcrypto.so.3",), ("libLLVM-14*.so.1",),
         ("libnode.so.*", "node"), ("libjvm.so",), ("librustc_driver-*.so",), ("libstd-*.so",),
         ("go-*/bin/go",), ("ppcx64*",), ("libasan.so.8*",), ("busybox",), ("bash-static",))
# With much assembly written by hand; ./dev installs it for the long tests alone.
FULL_KINDS = (*KINDS, ("libavcodec.so.59.*",))


def asked(command, *arguments):
    done = subprocess.run([command, "inspect", "--json", *arguments], capture_output=True,
                          text=True, check=False)
    return json.loads(done.stdout) if done.stdout else None


def compare(command, path):
    """Nothing for what is refused, or rewritten already."""
    said = asked(command, "--disassemble", path)
    if said is None or "error" in said or said["rewritten"]:
        return None
    return Comparison(path, said).run()


def files_with_pairs(command, files):
    for first in range(0, len(files), 500):
        for row in asked(command, "--summary", *files[first:first + 500])["files"]:
            if "error" not in row and row["candidates"]["total"] and not row["rewritten"]:
                yield row["file"]


def choose(command, roots, limit, wanted):
    """All files, or those of the wanted kinds and so many others with pairs, evenly spread."""
    files = list(corpus.elf_files(roots))
    kinds, missing = [], []
    for kind in wanted:
        found = [path for path in files if any(map(pathlib.PurePath(path).match, kind))]
        kinds += found
        missing += [kind[0]] if not found else []
    if missing:
        sys.exit(f"readings: none of the files below {' '.join(roots)} is a {' or a '.join(missing)}")
    if not limit:
        return files
    others = sorted(set(files_with_pairs(command, files)) - set(kinds))
    some = others[::max(1, len(others) // limit)][:limit]
    return sorted(set(kinds) | set(some))


class Totals:
    def __init__(self):
        self.files = self.with_pairs = 0
        self.compared, self.differences = collections.Counter(), collections.Counter()
        self.examples, self.problems = {}, []

    def add(self, comparison):
        self.files += 1
        self.with_pairs += 1 if comparison.said else 0
        self.compared.update(comparison.compared)
        for name, texts in comparison.differences.items():
            self.differences[name] += len(texts)
            for text in texts:
                print(f"  {comparison.path}: {name}: {text}")
        self.problems += [(comparison.path, text) for text in comparison.problems]

    def text(self):
        count = self.compared
        lines = [f"{self.files} files, {self.with_pairs} of them with `0f 05` pairs",
                 f"  {count['instruction']} instructions, {count['inside']} inside others, "
                 f"{count['data']} data, {count['uncertain']} uncertain; {count['window']} "
                 f"instructions of windows"]
        for rule in EXPLANATIONS:
            why = " ".join(rule.__doc__.split())
            lines.append(f"  {self.differences[rule.__name__]} differences: {rule.__name__}: {why}")
        lines += [f"  FAILURE {path}: {text}" for path, text in self.problems]
        return "\n".join(lines)


def plant(command, path):
    """Each plant alters a true answer, and the comparison must object."""
    truth = asked(command, "--disassemble", path)
    if Comparison(path, json.loads(json.dumps(truth))).run().problems:
        print(f"{path}: has problems before anything is planted")
        return 1
    unseen = []
    for name, change in plants.PLANTS.items():
        lie = json.loads(json.dumps(truth))
        change(lie)
        problems = Comparison(path, lie).run().problems
        print(f"planted {name}: {problems[0] if problems else 'NOT SEEN'}")
        unseen += [] if problems else [name]
    return 1 if unseen else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", help="the sysrewrite to ask")
    parser.add_argument("roots", nargs="+", metavar="DIR", help="directories, or files")
    parser.add_argument("--limit", type=int, default=0,
                        help="so many files with pairs, and one of each kind; default: all files")
    parser.add_argument("--least", type=int, default=1, help="fewer files with pairs are a failure")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--plant", action="store_true", help="see the comparison fail, on one file")
    arguments = parser.parse_args()
    if arguments.plant:
        return plant(arguments.command, arguments.roots[0])
    # Whoever names directories of his own has the files that he has.
    kinds = KINDS if arguments.limit else ()
    if kinds and os.environ.get("SYSREWRITE_TEST_FULL"):
        arguments.limit, kinds = 0, FULL_KINDS
    totals = Totals()
    files = choose(arguments.command, arguments.roots, arguments.limit, kinds)
    with concurrent.futures.ProcessPoolExecutor(arguments.jobs) as pool:
        for comparison in pool.map(functools.partial(compare, arguments.command), files):
            if comparison is not None:
                totals.add(comparison)
    if totals.with_pairs < arguments.least:
        totals.problems.append(("all", f"only {totals.with_pairs} files with pairs"))
    print(totals.text())
    return 1 if totals.problems else 0


if __name__ == "__main__":
    sys.exit(main())
