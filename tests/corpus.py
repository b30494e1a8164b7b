#!/usr/bin/python3
"""Rewrites, verifies and restores every ELF file below some directories, and reports.

Each file, found by its first bytes and once however many links it has, is rewritten in both formats
into a temporary directory, proven against its original, and restored; what comes back must be the
same file. A refusal with a reason is counted; a crash, a hang, a proof that fails or a byte that
differs is a failure, listed, and the exit status is 1.
"""

import argparse
import collections
import concurrent.futures
import filecmp
import functools
import json
import os
import pathlib
import re
import stat
import subprocess
import sys
import tempfile
import time

FORMATS = ("sysrewrite", "litebox")
TIERS = ("A", "B", "C", "D", "native")


def elf_files(roots):
    """Regular files with an ELF header below the roots, each inode once, in order of their paths."""
    seen = set()
    for root in roots:
        root = pathlib.Path(root)
        if not root.exists():
            sys.exit(f"corpus: {root} does not exist")
        walk = [(str(root.parent), [], [root.name])] if root.is_file() else os.walk(root)
        found = []
        for folder, _, names in walk:
            for name in names:
                path = os.path.join(folder, name)
                status = os.lstat(path)
                key = (status.st_dev, status.st_ino)
                if not stat.S_ISREG(status.st_mode) or status.st_size < 64 or key in seen:
                    continue
                try:
                    with open(path, "rb") as file:
                        if file.read(4) != b"\x7fELF":
                            continue
                except OSError:
                    continue
                seen.add(key)
                found.append(path)
        yield from sorted(found)


class Failure(Exception):
    pass


class Trial:
    """One file through the command, in one format."""

    def __init__(self, command, path, form, work, timeout):
        self.command, self.path, self.timeout = command, path, timeout
        self.form = form
        self.output, self.back = work / "out", work / "back"

    def run(self, *args, good=(0,)):
        try:
            done = subprocess.run([self.command, *args], capture_output=True, text=True,
                                  errors="replace", timeout=self.timeout, check=False)
        except subprocess.TimeoutExpired as error:
            raise Failure(f"{args[0]}: no end after {self.timeout} s") from error
        if done.returncode not in good:
            words = done.stderr.strip().splitlines() or ["no word about it"]
            raise Failure(f"{args[0]}: exit status {done.returncode}: " + "\n      ".join(words[:5]))
        return done

    def check(self):
        """(refusal or None, the verdict as JSON)."""
        rewrite = ["-q", f"--format={self.form}", self.path, self.output]
        done = self.run(*rewrite, good=(0, 1, 3))
        if done.returncode == 1 and "is setuid, setgid or has capabilities" in done.stderr:
            # It asks for a sysload that only root can replace; its code can be looked at without.
            done = self.run("--no-interp", *rewrite, good=(0, 1, 3))
        if done.returncode == 1:
            lines = done.stderr.strip().splitlines()
            prefix = f"sysrewrite: {self.path}: "
            if len(lines) != 1 or not lines[0].startswith(prefix) or self.output.exists():
                raise Failure(f"a refusal in another form: {lines[:3]}")
            return lines[0][len(prefix):], None
        verdict = self.prove()
        if (done.returncode == 3) != (verdict["tiers"]["native"] + verdict["candidates"]["uncertain"] > 0):
            raise Failure(f"exit status {done.returncode} of the rewrite does not fit {verdict}")
        return None, verdict

    def prove(self):
        verdict = json.loads(
            self.run("verify", "--json", self.output, "--against", self.path).stdout)
        self.run("restore", "-q", self.output, self.back)
        if not filecmp.cmp(self.path, self.back, shallow=False):
            raise Failure("restore gives another file")
        verdict["grown"] = self.output.stat().st_size - self.back.stat().st_size
        return verdict


def check_in_tree(command, path, root, tree, timeout):
    """The same of a file that `sysrewrite batch ROOT -o TREE` has copied."""
    with tempfile.TemporaryDirectory(prefix="sysrewrite-corpus-") as work:
        trial = Trial(command, path, None, pathlib.Path(work), timeout)
        trial.output = pathlib.Path(tree, os.path.relpath(path, root))
        if not trial.output.is_file():
            raise Failure("is missing in the tree")
        if filecmp.cmp(path, trial.output, shallow=False):
            return "kept as it is", None
        return None, trial.prove()


def check_file(command, path, formats, timeout):
    refusal, verdict = None, None
    for form in formats:
        with tempfile.TemporaryDirectory(prefix="sysrewrite-corpus-") as work:
            refused, result = Trial(command, path, form, pathlib.Path(work), timeout).check()
            refusal, verdict = refusal or refused, verdict or result
    return refusal, verdict


class Totals:
    def __init__(self):
        self.proven = self.bytes = self.grown = 0
        self.tiers, self.pairs = collections.Counter(), collections.Counter()
        self.refusals = collections.defaultdict(list)
        self.failures, self.trapped, self.incomplete = [], [], []

    def add(self, path, refusal, verdict):
        if refusal:
            # Numbers and names differ from file to file; what is left is the reason.
            reason = re.sub(r"0x[0-9a-f]+|\b\d+\b|'[^']*'", "N", refusal)
            self.refusals[reason].append((path, refusal))
            return
        self.proven += 1
        self.bytes += verdict["input_size"]
        self.grown += verdict["grown"]
        self.tiers.update(verdict["tiers"])
        self.pairs.update(verdict["candidates"])
        if verdict["tiers"]["D"]:
            self.trapped.append((path, verdict["tiers"]["D"]))
        if verdict["tiers"]["native"] or verdict["candidates"]["uncertain"]:
            self.incomplete.append((path, verdict["tiers"]["native"],
                                    verdict["candidates"]["uncertain"]))

    def text(self, files, seconds):
        refused = sum(map(len, self.refusals.values()))
        lines = [f"{files} ELF files in {seconds:.0f} s: {self.proven} rewritten, proven and "
                 f"restored, {refused} refused, {len(self.failures)} failures",
                 f"  {self.bytes / 1e6:.1f} MB, which grew by {self.grown / 1e6:.1f} MB",
                 "  " + ", ".join(f"{self.tiers[tier]} {tier}" for tier in TIERS) + " sites",
                 f"  {self.pairs['total']} `0f 05` pairs: {self.pairs['inside']} inside, "
                 f"{self.pairs['data']} data, {self.pairs['uncertain']} uncertain"]
        for same in sorted(self.refusals.values(), key=lambda item: -len(item)):
            path, refusal = same[0]
            lines.append(f"  refused {len(same):5}, as {path}: {refusal}")
        for title, rows in (("trapped", self.trapped), ("left alone", self.incomplete)):
            for path, *numbers in rows[:20]:
                lines.append(f"  {title} {path}: {', '.join(map(str, numbers))}")
            if len(rows) > 20:
                lines.append(f"  {title}: ... and {len(rows) - 20} more files")
        lines += [f"  FAILURE {path}: {what}" for path, what in self.failures]
        return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", help="the sysrewrite to try")
    parser.add_argument("roots", nargs="+", metavar="DIR", help="directories, or files")
    parser.add_argument("--limit", type=int, help="take so many of the files, evenly spread")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--timeout", type=float, default=300, help="seconds for one command")
    parser.add_argument("--format", choices=FORMATS, action="append", help="default: both")
    parser.add_argument("--tree", help="do not rewrite: look at what `sysrewrite batch` has made of "
                                       "the only directory given")
    parser.add_argument("--least", type=int, default=1, help="fewer files than these are a failure")
    arguments = parser.parse_args()
    if arguments.tree and len(arguments.roots) != 1:
        parser.error("--tree goes with one directory")
    files = list(elf_files(arguments.roots))
    if arguments.limit and len(files) > arguments.limit:
        files = [files[i * len(files) // arguments.limit] for i in range(arguments.limit)]
    totals, begun = Totals(), time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        check = functools.partial(check_file, formats=arguments.format or FORMATS)
        if arguments.tree:
            check = functools.partial(check_in_tree, root=arguments.roots[0], tree=arguments.tree)
        trials = {pool.submit(check, arguments.command, path, timeout=arguments.timeout): path
                  for path in files}
        for done, trial in enumerate(concurrent.futures.as_completed(trials), 1):
            try:
                totals.add(trials[trial], *trial.result())
            except Failure as failure:
                totals.failures.append((trials[trial], str(failure)))
            if sys.stderr.isatty():
                print(f"\r{done}/{len(files)}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r", end="", file=sys.stderr)
    print(totals.text(len(files), time.monotonic() - begun), end="")
    if len(files) < arguments.least:
        print(f"  FAILURE: {len(files)} files, expected {arguments.least} or more")
        return 1
    return 1 if totals.failures else 0


if __name__ == "__main__":
    sys.exit(main())
