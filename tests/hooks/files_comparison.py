"""Compares what the hook `files` wrote with what strace saw.

What may differ, and why:
 - ".", "//" and "..": strace shows paths as the program spelt them. Both sides are brought to the real
   path of the directory and the last component as it is. A directory that strace shows as "x/.." may
   have the name of a link to it.
 - O_CREAT without O_EXCL: strace cannot tell whether the file was there. The hook may have said
   create, or what the access mode says.
 - failed rename, link and execve: strace cannot tell which of the files was missing. The hook may say missing,
   test or failed.
 - interpreters of executed files (#! lines, PT_INTERP) are opened by the kernel: strace does not show
   them, and the hook does. They are found here by readelf and the file's first line.
 - names that a program makes up at random, each pattern given by the case.
"""
import json
import os
import re
import subprocess


def canonical(path):
    path = path.rstrip(b"/") or b"/"
    head, tail = os.path.split(path)
    while tail == b".":
        path = head
        head, tail = os.path.split(path)
    if tail == b"..":
        return os.path.realpath(path)
    return os.path.join(os.path.realpath(head), tail) if tail else path


def interpreters(path):
    """What the kernel opens beside an executed file."""
    found = set()
    for _ in range(5):
        try:
            with open(path, "rb") as file:
                line = file.readline(256)
        except OSError:
            return found
        if line.startswith(b"#!"):
            path = line[2:].split()[0]
            found.add(path)
            continue
        shown = subprocess.run(["readelf", "-lW", path], capture_output=True, check=False).stdout
        named = re.search(rb"interpreter: ([^\]]+)\]", shown)
        if named:
            found.add(named[1])
        return found
    return found


def read_output(file):
    """The set of (kind, path) of a JSON output, and the reasons why it is incomplete."""
    records, reasons = set(), []
    with open(file, encoding="utf-8", errors="strict") as lines:
        for line in lines:
            record = json.loads(line)
            if record["kind"] == "incomplete":
                reasons.append(record["path"])
                continue
            pair = record["kind"], os.fsencode(record["path"])
            if pair in records:
                raise SystemExit(f"written twice: {line}")
            records.add(pair)
    return records, reasons


def compare(hooked, traced, patterns=()):
    """Lines that say what differs. `patterns` are (regular expression, replacement), of bytes."""
    def normal(path):
        path = canonical(path)
        for pattern, replacement in patterns:
            path = re.sub(pattern, replacement, path)
        return path

    got = {(kind, normal(path)) for kind, path in hooked}
    expected = {(kind, normal(path)) for kind, path in traced}
    ended_in_parent = {normal(path) for _, path in traced if path.rstrip(b"/").endswith(b"/..")}
    by_kernel = {("execute", normal(i)) for kind, path in hooked if kind == "execute" for i in interpreters(path)}
    allowed, problems = set(), []
    for kind, path in sorted(expected):
        choices = {kind}
        if kind.startswith("perhaps-create:"):
            choices = {"create", kind.split(":")[1]}
        elif kind == "unsuccessful":
            choices = {"missing", "test", "failed"}
        found = {(choice, path) for choice in choices} & got
        if not found and path in ended_in_parent:
            found = {(k, p) for k, p in got if k in choices and os.path.realpath(p) == path}
        if not found:
            problems.append(f"only strace: {kind} {os.fsdecode(path)}")
        allowed |= found
    for kind, path in sorted(got - allowed - by_kernel):
        problems.append(f"only files: {kind} {os.fsdecode(path)}")
    return problems
