#!/usr/bin/python3
"""behaviour.py [--traps] GROUP|asm/NAME...: each program does the same unpatched and patched.

Standard output, standard error and exit status are compared byte for byte. The output runs by
itself, under the hook `count`, and with sysload as the command; or, with --traps, with every site
poisoned and served by the trap. The assembly programs check themselves, and name the tiers in which
their sites must end.
"""
import pathlib
import sys

import e2e
from cases import GROUPS


def run_case(place, case, argv, env):
    place.fresh_work()
    if case.terminal is not None:
        return e2e.run_on_terminal(argv, place.work, env, case.terminal)
    return e2e.run(argv, place.work, env, case.stdin)


# How the output is run: name, options of sysrewrite, what stands before the program, environment.
WAYS = (
    ("", (), (), {}),
    (" under count", (), (), {"SYSLOAD_HOOK": "count"}),
    (" under hooks", (), (), {"SYSLOAD_HOOK": "pass:entry:exit"}),
    (" as sysload's command", (), (e2e.SYSLOAD,), {}),
)
TRAPS = ((" by traps alone", ("--tiers=D",), (), {}),)



def compare(report, place, name, case, way, native):
    way_name, _, before, more = way
    place.install(place.root / f"patched{way_name}", name)
    try:
        patched = run_case(place, case, [*before, place.bin / name, *case.argv],
                           place.environment(**case.env, **more))
    except e2e.Hang as hang:
        report.check(False, f"{name} {case.name}{way_name}: ends", hang)
        return
    if more.get("SYSLOAD_HOOK") == "count":
        # Its table goes to standard error (or the terminal), amid what children write.
        same = native.status == patched.status
        if case.terminal is None:
            same = same and native.stdout == patched.stdout
        sentence = "same output and status"
    else:
        same = (native.status, native.stdout, native.stderr) == \
            (patched.status, patched.stdout, patched.stderr)
        sentence = "same output, errors and status"
    report.check(same, f"{name} {case.name}{way_name}: {sentence}", "\n".join(
        [f"status {native.status} unpatched, {patched.status} patched"] +
        e2e.difference(native.stdout, patched.stdout) +
        e2e.difference(native.stderr, patched.stderr)))


# A real program needs no trap. Free Pascal's run-time library makes its calls where only windows of
# several instructions fit; were there none, nothing real would test them.
LEAST_WINDOWS = {"pascal": 8}


def check_tiers(report, group_name, result):
    report.equal(result.tiers.get("D"), 0, f"{group_name}: no site of tier D")
    least = LEAST_WINDOWS.get(group_name, 0)
    report.check(result.tiers.get("C", -1) >= least,
                 f"{group_name}: at least {least} sites of tier C", result.tiers)


def group(report, group_name, ways):
    program, cases = GROUPS[group_name]
    e2e.need(pathlib.Path(program).exists(), f"{program} exists")
    name = pathlib.Path(program).name
    with e2e.Place() as place:
        for way in ways:
            result = e2e.rewrite(program, place.root / f"patched{way[0]}", *way[1])
            if way[1]:
                report.check(result.status == 0 and result.tiers.get("D") == len(result.sites),
                             f"{name}{way[0]}: rewriting", result.stderr)
            elif e2e.check_rewriting(report, name, result):
                check_tiers(report, group_name, result)
            else:
                return
        for case in cases:
            place.install(program, name)
            native = run_case(place, case, [place.bin / name, *case.argv],
                              place.environment(**case.env))
            for way in ways:
                if case.own_exe and way[2]:
                    continue
                compare(report, place, name, case, way, native)


def expectations(program):
    """What the program's .expect section says: (address, tiers or "untouched")."""
    data = e2e.Elf(program).sections.get(".expect", b"")
    while data:
        text, rest = data[8:].split(b"\0", 1)
        yield int.from_bytes(data[:8], "little"), text.decode()
        data = rest


def check_expectations(report, program, result, output):
    original, patched = e2e.Elf(program), e2e.Elf(output)
    for address, expected in expectations(program):
        site = result.sites.get(address, {})
        if expected == "untouched":
            report.check(not site and original.bytes_at(address, 2) ==
                         patched.bytes_at(address, 2) == b"\x0f\x05",
                         f"{program.name}: the pair at {address:#x} is untouched", site)
        else:
            report.check(site.get("tier", "none") in expected,
                         f"{program.name}: tier of {address:#x} is one of {expected}", site)


def assembly(report, name, ways):
    program = e2e.FIXTURES / "asm" / name
    e2e.need(program.exists(), f"{program} is built")
    with e2e.Place() as place:
        native = e2e.run([program], place.fresh_work(), place.environment())
        report.check(native.status == 0 and native.stdout == f"ok {name}\n".encode(),
                     f"{name} unpatched", native)
        for way, options, before, more in ways:
            result = e2e.rewrite(program, place.bin / name, *options)
            if not e2e.check_rewriting(report, name + way, result):
                continue
            if not options:
                check_expectations(report, program, result, place.bin / name)
            try:
                patched = e2e.run([*before, place.bin / name], place.fresh_work(),
                                  place.environment(**more))
            except e2e.Hang as hang:
                report.check(False, f"{name}{way}: ends", hang)
                continue
            same = patched.status == 0 and patched.stdout == native.stdout
            if not more:
                same = same and patched.stderr == native.stderr
            report.check(same, f"{name}{way}: checks itself", patched)


def main():
    e2e.need_tools()
    report = e2e.Report()
    names = sys.argv[1:]
    ways = WAYS
    if names[:1] == ["--traps"]:
        ways = TRAPS
        del names[0]
    for name in names:
        if name.startswith("asm/"):
            assembly(report, name[4:], ways)
        else:
            group(report, name, ways)
    report.end()


if __name__ == "__main__":
    main()
