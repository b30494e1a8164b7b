#!/usr/bin/python3
"""extremes.py TOPIC...: programs that are started as hardly anybody does: without arguments or with
as many as the kernel takes, with little memory, little or unlimited stack, under odd names. Each
against its native run."""
import ctypes
import os
import re
import resource
import signal

import e2e
from starting import LIBCS, both_ways, installed

KIB = 1024
MIB = 1024 * KIB
ONE_LINE = re.compile(rb"sysload: [^\n]+\n")


def without_headers(text):
    # A moved table's address and size differ for others: starting.py says why.
    return re.sub(rb"(?m)^auxv \d+: [35]=.*\n", b"", text)


def limit(kind, soft, hard=None):
    hard = soft if hard is None else hard
    return lambda: resource.setrlimit(kind, (soft, hard))


def compare(report, place, libc, program, sentence, argv, env, preexec=None):
    """`program` does the same at one path unpatched, by itself, and as sysload's argument."""
    path = place.bin / program
    place.install(e2e.FIXTURES / f"{libc}_{program}", program)
    native = e2e.run([path, *argv], place.fresh_work(), env, preexec_fn=preexec)
    report.check(native.status == 0 and native.stdout, f"{libc} {sentence}: unpatched", native)
    if installed(report, place, f"{libc}_{program}", program) is None:
        return
    for way, command in both_ways(path, *argv):
        patched = e2e.run(command, place.fresh_work(), env, preexec_fn=preexec)
        report.equal((patched.status, patched.stderr), (native.status, native.stderr),
                     f"{libc} {sentence}, by {way}: ends the same")
        report.equal(without_headers(patched.stdout), without_headers(native.stdout),
                     f"{libc} {sentence}, by {way}: same output")


# --- Arguments -----------------------------------------------------------------------------------------


def no_arguments(report):
    """execve with an empty argv: Linux 5.18 and later put an empty string there."""
    def empty(path):
        # Python's own execve refuses to do it.
        libc = ctypes.CDLL(None)
        environment = (ctypes.c_char_p * 2)(b"A=1", None)
        return lambda: libc.execve(str(path).encode(), None, environment)

    for libc in LIBCS:
        with e2e.Place() as place:
            program = place.bin / "seen"

            def run(path=program):
                # What is named here runs only where execve has failed.
                return e2e.run(["/bin/false"], place.fresh_work(), {}, preexec_fn=empty(path))

            place.install(e2e.FIXTURES / f"{libc}_seen", "seen")
            native = run()
            report.check(native.status == 0 and re.match(rb"argc [01]\n", native.stdout),
                         f"{libc} without arguments: unpatched", native)
            if installed(report, place, f"{libc}_seen", "seen") is None:
                return
            patched = run()
            report.equal((patched.status, patched.stderr), (0, b""),
                         f"{libc} without arguments: ends well")
            report.equal(without_headers(patched.stdout), without_headers(native.stdout),
                         f"{libc} without arguments: same output")
            sysload = run(e2e.SYSLOAD)
            report.check(sysload.status == 127 and ONE_LINE.fullmatch(sysload.stderr),
                         "sysload without arguments: one line and status 127", sysload)


def many_arguments(report):
    """Arguments and environment of nearly a quarter of the stack's limit, which is what execve takes."""
    stack = 8 * MIB
    # Each string takes its bytes and a pointer; some are left for sysload's own path.
    many = ["argument"] * (stack // 4 // (9 + 8) - 1000)
    long = ["x" * (128 * KIB - 1)] * 15
    variables = {f"V{i}": "value" for i in range(70000)}
    for libc in LIBCS:
        with e2e.Place() as place:
            plain = place.environment()
            few_stack = limit(resource.RLIMIT_STACK, stack)
            for sentence, argv, env in (("with many arguments", many, plain),
                                        ("with long arguments", long, plain),
                                        ("with a great environment", ["a"], {**plain, **variables}),
                                        ("with a great environment, and an even number of arguments",
                                         ["a", "b"], {**plain, **variables})):
                compare(report, place, libc, "seen", sentence, argv, env, few_stack)


# --- Names ---------------------------------------------------------------------------------------------


def names(report):
    """Names with a line's end, with bytes that are no UTF-8, and very long ones."""
    for name in (b"two\nlines", b"no \xff\xfe utf-8", b"tab\tand\x1b[31mred", b"n" * 255, b"-dash",
                 b"\n"):
        with e2e.Place() as place:
            path = os.fsencode(place.bin) + b"/" + name
            target = place.bin / os.fsdecode(name)

            def run(command, **env):
                return e2e.run([os.fsdecode(word) for word in command], place.fresh_work(),
                               place.environment(**env))

            place.install_at(e2e.FIXTURES / "glibc_seen", target)
            native = run([path, b"x"])
            report.check(native.status == 0 and path in native.stdout, f"{name}: unpatched", native)
            result = e2e.rewrite(target, target)
            e2e.check_rewriting(report, f"{name}", result)
            for way, command in both_ways(path, b"x"):
                patched = run(command)
                report.equal((patched.status, patched.stderr, without_headers(patched.stdout)),
                             (0, b"", without_headers(native.stdout)), f"{name}, by {way}")
                counted = run(command, SYSLOAD_HOOK="count")
                head = rb"sysload: system calls of \d+ \([^\n\x1b]+\)\n"
                report.check(counted.status == 0 and re.match(head, counted.stderr),
                             f"{name}, by {way}: the table is headed by one line", counted)
            damaged = bytearray(target.read_bytes())
            damaged[-20] ^= 1
            target.write_bytes(damaged)
            missing = run([e2e.SYSLOAD, path + b"-"])
            for sentence, outcome in (("damaged", run([path])), ("missing", missing)):
                report.check(outcome.status == 127 and ONE_LINE.fullmatch(outcome.stderr) and
                             b"\x1b" not in outcome.stderr,
                             f"{name}, {sentence}: one line and status 127", outcome)


# --- Memory --------------------------------------------------------------------------------------------


def stacks(report):
    """A small stack, and an unlimited one, which turns the order of mappings around."""
    for libc in LIBCS:
        with e2e.Place() as place:
            env = place.environment()
            infinite = resource.RLIM_INFINITY
            for sentence, soft in (("with 32 KiB of stack", 32 * KIB),
                                   ("with 64 KiB of stack", 64 * KIB),
                                   ("with unlimited stack", infinite)):
                set_limit = limit(resource.RLIMIT_STACK, soft, infinite)
                compare(report, place, libc, "seen", sentence, ["a"], env, set_limit)
                compare(report, place, libc, "heap", sentence, [], env, set_limit)
                compare(report, place, libc, "everyday", sentence, ["memory", "files"], env,
                        set_limit)


def least_stack(report):
    """sysload needs little stack itself: 16 KiB, as docs/limits.md says."""
    with e2e.Place() as place:
        place.install(e2e.FIXTURES / "musl_heap", "heap")

        def least(command):
            for size in range(1, 200):
                outcome = e2e.run(command, place.fresh_work(), {},
                                  preexec_fn=limit(resource.RLIMIT_STACK, size * KIB))
                if outcome.status == 0:
                    return size
            return None

        native = least([place.bin / "heap"])
        if installed(report, place, "musl_heap", "heap") is None:
            return
        for way, command in both_ways(place.bin / "heap"):
            found = least(command)
            report.check(found is not None and found <= max(native, 16),
                         f"by {way} {found} KiB of stack suffice, natively {native}")


# The rewritten file is mapped as a whole to be checked; beside that there is sysload itself.
SYSLOAD_NEEDS = 576 * KIB


def address_space(report):
    """Under a small RLIMIT_AS a program runs as unpatched, or sysload says why not; and it asks for
    hardly more than the file's size beyond what the program needs."""
    for libc in LIBCS:
        with e2e.Place() as place:
            path = place.bin / "seen"
            place.install(e2e.FIXTURES / f"{libc}_seen", "seen")

            def run(command, pages):
                return e2e.run(command, place.fresh_work(), {},
                               preexec_fn=limit(resource.RLIMIT_AS, pages * 4 * KIB))

            def least(command):
                low, high = 1, 64 * MIB // (4 * KIB)
                while low < high:
                    middle = (low + high) // 2
                    low, high = (low, middle) if run(command, middle).status == 0 else \
                        (middle + 1, high)
                return low

            native = least([path])
            expected = run([path], native).stdout
            if installed(report, place, f"{libc}_seen", "seen") is None:
                return
            allowance = (path.stat().st_size + SYSLOAD_NEEDS) // (4 * KIB)
            for way, command in both_ways(path):
                found = least(command)
                report.check(found <= native + allowance,
                             f"{libc}, by {way}: {found * 4} KiB suffice, natively {native * 4}")
                spoken, silent = 0, []
                for pages in range(native, found):
                    outcome = run(command, pages)
                    if outcome.status == 127 and ONE_LINE.fullmatch(outcome.stderr) and \
                            b"ENOMEM" in outcome.stderr:
                        spoken += 1
                    elif outcome.status == 0:
                        report.equal(without_headers(outcome.stdout), without_headers(expected),
                                     f"{libc}, by {way}: {pages} pages")
                    elif spoken:
                        silent.append((pages, outcome.status, outcome.stderr))
                report.equal(silent, [], f"{libc}, by {way}: nothing but one line, {spoken} times")


TOPICS = {"no_arguments": no_arguments, "many_arguments": many_arguments, "names": names,
          "stacks": stacks, "least_stack": least_stack, "address_space": address_space}


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    e2e.main(TOPICS)
