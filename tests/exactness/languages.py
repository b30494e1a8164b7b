"""Runtimes that look at what their signals have struck: Go, the JVM, V8 and Python, one of which is named.

Profiles must name the functions that they name natively, dumps show the same frames, faults be taken for what they are.
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys

from ways import PROGRAMS, Comparison, run, under_run

HOOKS = ("none", "pass:entry:exit")
NUMBERS = re.compile(r"0x[0-9a-f]+|\b\d+(\.\d+)?(ms|s|B|K|M)?\b")


def patched():
    """How a dynamic program is run: a sentence, and the words before it."""
    for hook in HOOKS:
        yield f"run and {hook}", under_run(hook), {}


def go(comparison):
    program = comparison.path("profile")
    subprocess.run(["go", "build", "-o", program, os.path.join(PROGRAMS, "profile.go")], check=True,
                   env={**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off",
                        "GOCACHE": os.path.join(os.environ["SYSREWRITE_TEST_CACHE"], "go")})
    rewritten = comparison.rewritten(program)
    ways = [(f"rewritten, under {hook}", [rewritten], {"SYSLOAD_HOOK": hook}) for hook in HOOKS]
    ways.append(("run", [*under_run("none"), program], {}))
    output = comparison.path("cpu.profile")
    for sentence, command, environment in (("natively", [program], {}), *ways):
        done = run([*command, output], **environment)
        table = run(["go", "tool", "pprof", "-top", "-cum", "-nodecount=1000", program, output])[1]
        rows = re.findall(r"^ +\S+ +\S+% +\S+% +\S+ +([\d.]+)% +(.+)$", table, re.MULTILINE)
        shares = {name: float(share) for share, name in rows}
        # The call is where most of the time goes; how much of it is left for the rest depends on the machine.
        named = all(shares.get(name, 0) >= least for name, least in
                    (("main.makesCalls", 15), ("syscall.Syscall", 15), ("main.computes", 2)))
        if sentence == "natively" and not named:
            sys.exit(f"FAILED: go, natively\n{table}{done}")
        comparison.check(done[:2] == (0, "profiled\n") and named, f"go's profile, {sentence}", f"{done}\n{table}")
    wanted = comparison.natively("go, preempted", [program, "preempt"])
    for sentence, command, environment in ways:
        comparison.same(f"go, preempted, {sentence}", wanted, [*command, "preempt"], **environment)


def python(comparison):
    command = ["/usr/bin/python3", os.path.join(PROGRAMS, "dumps.py")]

    def dumped(done):
        return NUMBERS.sub("@", done[2])

    native = run(command)
    if native[0] != -11 or native[2].count("blocks_in_read") < 4:
        sys.exit(f"FAILED: python, natively\n{native}")
    # A parent that is no shell: the status of a signal is 128 and its number under run.
    for sentence, before, environment in patched():
        done = run([*before, *command], **environment)
        comparison.check(done[0] in (-11, 139) and done[1] == native[1] and dumped(done) == dumped(native),
                         f"python's faulthandler, {sentence}", f"{done[0]}\n--- native\n{native[2]}\n--- found\n{done[2]}")


def java(comparison):
    folder = comparison.folder.name
    subprocess.run(["javac", "-d", folder, os.path.join(PROGRAMS, "Faults.java")], check=True)
    command = ["java", "-Xmx256m", "-Xss512k", "-cp", folder, "Faults"]

    def shown(output):
        """Everything but the dump, and of that the frames of the program's threads."""
        own = [line for line in output.splitlines() if re.match(r'"(main|accepts|sleeps)"|\tat |\d+ |done', line)]
        return re.sub("0x[0-9a-f]+", "@", "\n".join(re.sub(r'^("\w+").*', r"\1", line) for line in own))

    wanted = comparison.natively("java", command, 3)
    if "Faults.blocksInAccept" not in shown(wanted[1]):
        sys.exit(f"FAILED: java, natively\n{wanted[1]}")
    for sentence, before, environment in patched():
        comparison.same(f"java's faults and thread dump, {sentence}", wanted, [*before, *command], shown, **environment)


def node(comparison):
    program = os.path.join(PROGRAMS, "spins.js")
    ways = [("natively", [], {}), *patched()]
    for sentence, before, environment in ways:
        folder = comparison.path("profiles")
        shutil.rmtree(folder, ignore_errors=True)
        done = run([*before, "node", "--cpu-prof", f"--cpu-prof-dir={folder}", program], **environment)
        hits = {}
        for name in glob.glob(os.path.join(folder, "*.cpuprofile")):
            with open(name, encoding="utf-8") as file:
                for place in json.load(file)["nodes"]:
                    frame = place["callFrame"]
                    hits[frame["functionName"]] = hits.get(frame["functionName"], 0) + place.get("hitCount", 0)
        total = sum(hits.values()) or 1
        # The one is in a system call most of the time, the other never; each has four tenths of the samples. node 18
        # has no frame for the C++ function that makes the call.
        calls = hits.get("stat", 0) + hits.get("statSync", 0)
        often = calls > total / 10 and hits.get("computes", 0) > total / 10
        comparison.check(done[:2] == (0, "done\n") and often, f"node's profile, {sentence}",
                         f"{done}\n{hits}")


def main():
    comparison = Comparison()
    globals()[sys.argv[1]](comparison)
    comparison.end()


main()
