#!/usr/bin/python3
"""starting.py TOPIC...: what sysload owes a program from its first instruction on, and others who
look at the process: started as the interpreter (./out) and as a command (sysload ./out)."""
import collections
import os
import re
import resource
import shutil
import signal
import subprocess
import time

import calls
import cases
import e2e

LIBCS = ("musl", "glibc", "glibcpie")


def both_ways(path, *argv):
    yield "./out", [path, *argv]
    yield "sysload ./out", [e2e.SYSLOAD, path, *argv]


def installed(report, place, program, name=None):
    """Rewrites a fixture and installs it under its own name; None where that goes wrong."""
    result = e2e.rewrite(e2e.FIXTURES / program, place.root / "patched")
    if not e2e.check_rewriting(report, program, result):
        return None
    place.install(place.root / "patched", name or program)
    return place.bin / (name or program)


# --- What a process finds out about itself -------------------------------------------------------------


def seen(report):
    """argv, environment, auxv, names, descriptors and memory bounds are those of the program."""
    for libc in LIBCS:
        with e2e.Place() as place:
            program = place.bin / "seen"
            for sentence, argv, env in (
                    ("with arguments", ["a", "", "b c"], place.environment(A="1")),
                    ("without environment", [], {}),
                    ("with a long command line", ["x" * 100000, "y"], {"LONG": "z" * 100000})):
                place.install(e2e.FIXTURES / f"{libc}_seen", "seen")
                native = e2e.run([program, *argv], place.fresh_work(), env)
                report.check(native.status == 0 and b"entry is _start" in native.stdout,
                             f"{libc} seen {sentence}: unpatched", native)
                if installed(report, place, f"{libc}_seen", "seen") is None:
                    return
                for way, command in both_ways(program, *argv):
                    patched = e2e.run(command, place.fresh_work(), env)
                    found = patched.stdout
                    if libc == "glibcpie":
                        # AT_PHDR (3) and AT_PHNUM (5) differ for others: gdb compares what they name
                        # with the file, where the table has one entry more.
                        found = re.sub(rb"(?m)^auxv \d+: [35]=.*\n", b"", found)
                    report.equal((patched.status, patched.stderr), (0, b""),
                                 f"{libc} seen {sentence}, by {way}: ends well")
                    report.equal(found, native.stdout,
                                 f"{libc} seen {sentence}, by {way}: sees what it sees unpatched")


def argv0(report):
    """A name of its own in argv[0], as login shells have."""
    with e2e.Place() as place:
        place.install("/bin/bash-static", "bash")
        script = ["-c", 'exec -a "-my name" "$0" one two', place.bin / "seen"]
        place.install(e2e.FIXTURES / "glibc_seen", "seen")
        native = e2e.run([place.bin / "bash", *script], place.fresh_work(), place.environment())
        report.check(b"argv -my name\n" in native.stdout, "argv[0] unpatched", native)
        if installed(report, place, "glibc_seen", "seen") is None:
            return
        patched = e2e.run([place.bin / "bash", *script], place.fresh_work(), place.environment())
        report.equal(patched.stdout, native.stdout, "argv[0] patched")


def headers(report):
    """The ELF header that a program finds in its memory leads to its own program headers."""
    for build in (*LIBCS, "lld"):
        for options in ([], ["--symbols"], ["--embed=segment"]):
            if build == "lld" and options == ["--embed=segment"]:
                continue  # refused: the segment of everything would have to move
            name = f"{build} ehdr {' '.join(options)}"
            with e2e.Place() as place:
                native = e2e.run([e2e.FIXTURES / f"{build}_ehdr"], place.fresh_work(), {})
                report.check(native.status == 0 and native.stdout.count(b"\n") == 1, f"{name}: unpatched", native)
                result = e2e.rewrite(e2e.FIXTURES / f"{build}_ehdr", place.bin / "ehdr", *options)
                if not e2e.check_rewriting(report, name, result):
                    return
                for way, command in both_ways(place.bin / "ehdr"):
                    patched = e2e.run(command, place.fresh_work(), {})
                    if options == ["--embed=segment"]:
                        # A table of its own, with the trampoline's segment in it, as linkers make it.
                        report.check(patched.status == 0 and patched.stdout.endswith(b"; as told\n"),
                                     f"{name}, by {way}", patched)
                    else:
                        report.equal((patched.status, patched.stdout, patched.stderr),
                                     (0, native.stdout, b""), f"{name}, by {way}")


# --- Memory --------------------------------------------------------------------------------------------


def heap(report):
    """brk grows, with random addresses and without, however the program is started."""
    for libc in LIBCS:
        with e2e.Place() as place:
            program = installed(report, place, f"{libc}_heap")
            if program is None:
                return
            for random, before in (("", []), (" under setarch -R", ["/usr/bin/setarch", "-R"])):
                native = e2e.run([*before, e2e.FIXTURES / f"{libc}_heap"], place.fresh_work(),
                                 place.environment())
                report.equal((native.status, native.stdout), (0, b"64 MiB of heap\n"),
                             f"{libc} heap{random}: unpatched")
                for way, command in both_ways(program):
                    for hook in ("none", "count"):
                        patched = e2e.run([*before, *command], place.fresh_work(),
                                          place.environment(SYSLOAD_HOOK=hook))
                        report.equal((patched.status, patched.stdout), (0, b"64 MiB of heap\n"),
                                     f"{libc} heap{random}, by {way} under {hook}")


def mdwe(report):
    """Nothing of sysload needs memory that is first written and then executable."""
    launcher = e2e.FIXTURES / "mdwe"
    for libc in LIBCS:
        with e2e.Place() as place:
            for name, argv in (("heap", []), ("everyday", ["files", "processes", "signals"])):
                program = installed(report, place, f"{libc}_{name}")
                if program is None:
                    return
                native = e2e.run([launcher, e2e.FIXTURES / f"{libc}_{name}", *argv],
                                 place.fresh_work(), place.environment())
                report.check(native.status == 0, f"{libc} {name} under PR_SET_MDWE: unpatched",
                             native)
                for way, command in both_ways(program, *argv):
                    patched = e2e.run([launcher, *command], place.fresh_work(),
                                      place.environment())
                    report.equal((patched.status, patched.stdout, patched.stderr),
                                 (native.status, native.stdout, native.stderr),
                                 f"{libc} {name} under PR_SET_MDWE, by {way}")


# --- What others see -----------------------------------------------------------------------------------


class Blocked:
    """A process that waits in read(0), below innermost, middle, outermost and main."""

    def __init__(self, place, command):
        self.process = subprocess.Popen([str(word) for word in command], cwd=place.fresh_work(),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=place.environment())
        self.pid = self.process.pid
        self.said = self.process.stdout.readline()
        deadline = time.monotonic() + e2e.HANG_SECONDS
        while self.state() != "S" and time.monotonic() < deadline:
            time.sleep(0.01)

    def state(self):
        with open(f"/proc/{self.pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0]

    def end(self):
        self.process.stdin.close()
        rest = self.process.stdout.read()
        self.process.stdout.close()
        return self.said + rest, self.process.wait(timeout=e2e.HANG_SECONDS)


def ask(command):
    return subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=e2e.HANG_SECONDS, text=True).stdout


def auxv_of(pid):
    with open(f"/proc/{pid}/auxv", "rb") as auxv:
        data = auxv.read()
    return [int.from_bytes(data[i:i + 8], "little") for i in range(0, len(data), 16)]


def others(report):
    """ps, /proc/PID/auxv and /proc/PID/cmdline of a waiting process read as of the unpatched one."""
    for libc in LIBCS:
        with e2e.Place() as place:
            program = place.bin / "blocked"
            place.install(e2e.FIXTURES / f"{libc}_blocked", "blocked")

            def look(command):
                blocked = Blocked(place, command)
                found = {"ps": ask(["/usr/bin/ps", "-o", "comm=,args=", "-p", blocked.pid]),
                         "auxv": auxv_of(blocked.pid)}
                with open(f"/proc/{blocked.pid}/cmdline") as cmdline:
                    found["cmdline"] = cmdline.read()
                with open(f"/proc/{blocked.pid}/stat") as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
                # start_code, end_code, start_data, end_data, start_brk ...: set, in their order.
                bounds = [int(fields[i - 3]) for i in (26, 27, 45, 46, 47, 48, 49, 50, 51)]
                found["bounds"] = [bool(bound) for bound in bounds] + [bounds[2] <= bounds[3]]
                found["segments"] = [bound - bounds[0] for bound in bounds[:4]]
                found["end"] = blocked.end()
                return found

            native = look([program, "an argument"])
            report.equal(native["end"], (b"waiting\nread 0\n", 0), f"{libc} waiting: unpatched")
            if installed(report, place, f"{libc}_blocked", "blocked") is None:
                return
            for way, command in both_ways(program, "an argument"):
                patched = look(command)
                for what in native:
                    report.equal(patched[what], native[what],
                                 f"{libc} waiting, by {way}: {what} as of the unpatched process")


def frames(text):
    """The functions of a backtrace, from the first that is known."""
    return re.findall(r"(?m)^#\d+ .*?\b(innermost|middle|outermost|main) \(", text)


def debugger(report, libc):
    """gdb attaches, finds the same frames, and stops at the same breakpoints."""
    with e2e.Place() as place:
        program = place.bin / "blocked"
        gdb = ["/usr/bin/gdb", "-nx", "-batch"]

        def attached(command):
            blocked = Blocked(place, command)
            text = ask([*gdb, "-ex", "bt", program, blocked.pid])
            return frames(text), blocked.end(), text

        def run():
            text = ask([*gdb, "-ex", "break middle", "-ex", "run", "-ex", "bt", "-ex", "finish",
                        "-ex", "continue", program])
            return (frames(text), "exited normally" in text), text

        place.install(e2e.FIXTURES / f"{libc}_blocked", "blocked")
        native = attached([program])
        native_run = run()
        report.equal(native[0], ["innermost", "middle", "outermost", "main"],
                     f"{libc}: gdb's frames of an unpatched process")
        report.check(native_run[0] == (["middle", "outermost", "main"], True),
                     f"{libc}: gdb runs the unpatched program", native_run[1])
        if installed(report, place, f"{libc}_blocked", "blocked") is None:
            return
        for way, command in both_ways(program):
            found = attached(command)
            report.check(found[:2] == native[:2],
                         f"{libc}: gdb's frames of a waiting process, by {way}", found[2])
        found = run()
        report.check(found[0] == native_run[0], f"{libc}: gdb runs the program to a breakpoint",
                     found[1])


# --- Counting ------------------------------------------------------------------------------------------

TABLE_LINE = re.compile(rb"(?m)^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$")


def counts(report):
    """The numbers of the hook `count` are those of strace, of the unpatched program."""
    # Programs of one process and one thread, and nothing in them that depends on time.
    programs = [(f"{libc}_everyday", ["files", "memory"]) for libc in LIBCS]
    programs.append(("pascal_everyday", None))
    for name, argv in programs:
        with e2e.Place() as place:
            if argv is None:
                continue
            case = cases.Case("counted", argv)
            place.install(e2e.FIXTURES / name, name)
            run = calls.trace(place, case, [place.bin / name, *argv], False)
            expected = collections.Counter(call.name for task in run.raw.values() for call in task
                                           if call.name not in ("---", "+++"))
            # The kernel has started the program before its first own call.
            expected["execve"] -= 1
            expected = +expected
            if installed(report, place, name) is None:
                return
            for way, command in both_ways(place.bin / name, *argv):
                counted = e2e.run(command, place.fresh_work(),
                                  place.environment(SYSLOAD_HOOK="count"))
                found = collections.Counter({call.decode(): int(number) for number, call
                                             in TABLE_LINE.findall(counted.stderr)})
                report.equal(found.pop("total", 0), sum(found.values()),
                             f"{name}, by {way}: the table's total")
                report.equal(sorted(found.items()), sorted(expected.items()),
                             f"{name}, by {way}: {sum(expected.values())} calls counted as by strace")


# --- Descriptors ---------------------------------------------------------------------------------------


def descriptors(report):
    """Standard descriptors that are closed, and a limit with no room for one more."""
    for libc in LIBCS:
        with e2e.Place() as place:
            place.install(e2e.FIXTURES / f"{libc}_seen", "native")
            program = installed(report, place, f"{libc}_seen")
            if program is None:
                return
            for closed in ("<&-", "2>&-", "<&- 2>&-"):
                def closing(command):
                    words = " ".join(f"'{word}'" for word in command)
                    outcome = e2e.run(["/bin/bash-static", "-c", f"exec {words} {closed}"],
                                      place.fresh_work(), {})
                    lines = [line for line in outcome.stdout.splitlines() if b"descriptor" in line]
                    return outcome.status, lines

                native = closing([place.bin / "native"])
                report.check(native[0] == 0 and len(native[1]) >= 2,
                             f"{libc} with {closed}: unpatched", native)
                for way, command in both_ways(program):
                    report.equal(closing(command), native,
                                 f"{libc} with {closed}, by {way}: the same descriptors")
            program = installed(report, place, f"{libc}_heap")
            for sentence, limit in (("soft limit", (3, 1024)), ("hard limit", (3, 3))):
                for way, command in both_ways(program):
                    outcome = e2e.run(
                        command, place.fresh_work(), place.environment(),
                        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limit))
                    if limit[1] > 3:
                        report.equal((outcome.status, outcome.stdout), (0, b"64 MiB of heap\n"),
                                     f"{libc} with a {sentence} of 3 descriptors, by {way}")
                        continue
                    # Without any descriptor to be had the program's file cannot be opened.
                    lines = outcome.stderr.splitlines()
                    report.check(outcome.status == 127 and len(lines) == 1 and
                                 lines[0].endswith(b"EMFILE"),
                                 f"{libc} with a {sentence} of 3 descriptors, by {way}: one line",
                                 outcome)
            # All three closed: no call that fails may end the program, or land in a file.
            for way, command in both_ways(program):
                outcome = e2e.run(["/bin/bash-static", "-c",
                                   'exec "$@" <&- >&- 2>&-', "bash", *command],
                                  place.fresh_work(), place.environment(SYSLOAD_HOOK="count"))
                report.equal(outcome.status, 0, f"{libc} with nothing open, by {way}")
            # Standard error is closed, and the program's own file takes its number.
            program = installed(report, place, f"{libc}_everyday")
            outcome = e2e.run(["/bin/bash-static", "-c", 'exec "$@" 2>&-', "bash", program,
                               "files"], place.fresh_work(), place.environment())
            report.equal(outcome.status, 0, f"{libc} files without standard error")


# --- Failure -------------------------------------------------------------------------------------------


def failures(report):
    """What can not be started ends with one line that says why, and status 127."""
    with e2e.Place() as place:
        program = installed(report, place, "glibc_heap")
        if program is None:
            return
        good = program.read_bytes()
        work = place.fresh_work()

        def write(name, data):
            path = place.bin / name
            path.write_bytes(data)
            path.chmod(0o755)
            return path

        def one_line(sentence, command, *words, **env):
            outcome = e2e.run(command, work, place.environment(**env))
            text = outcome.stderr.decode()
            report.check(
                outcome.status == 127 and outcome.stdout == b"" and
                re.fullmatch(r"sysload: [^\n]+\n", text) and all(word in text for word in words),
                f"{sentence}: one line and status 127", outcome)

        sysload = e2e.SYSLOAD
        one_line("no program", [sysload])
        one_line("a program that is not there", [sysload, place.bin / "none"], "ENOENT")
        one_line("a folder", [sysload, place.bin], "EISDIR")
        one_line("a text", [sysload, "/etc/passwd"], "ELF")
        one_line("a file that was never rewritten", [sysload, e2e.FIXTURES / "glibc_heap"],
                 "rewrit")
        for option in ("--stub=plain", "--no-native-tail", "--format=litebox"):
            other = place.root / "other"
            e2e.rewrite(e2e.FIXTURES / "glibc_heap", other, option)
            one_line(f"a file written with {option}", [sysload, other], option, "library OS")
        one_line("an unknown hook", [sysload, "--hook", "nonsense", program], "nonsense")
        one_line("an unknown hook in the environment", [program], "nonsense",
                 SYSLOAD_HOOK="nonsense")
        one_line("an unknown option", [sysload, "--nonsense", program], "nonsense")

        one_line("half a file", [sysload, write("half", good[:len(good) // 2])])
        one_line("a file without its last byte", [sysload, write("short", good[:-1])])
        one_line("a file with a byte more", [sysload, write("long", good + b"x")])
        one_line("an empty file", [sysload, write("empty", b"")])
        elf = e2e.Elf(program)
        site = next(iter(e2e.rewrite(e2e.FIXTURES / "glibc_heap", place.root / "p").sites))
        offset = elf.offset_of(site)
        edited = bytearray(good)
        edited[offset] ^= 1
        one_line("a window that was edited", [sysload, write("edited", bytes(edited))])
        one_line("a window that was edited, started by itself", [place.bin / "edited"])
        for where, sentence in ((-20, "the trailer"), (-200, "the metadata"),
                                (-(len(good) - len((e2e.FIXTURES / "glibc_heap").read_bytes())
                                   - 0x2000), "the trampoline")):
            damaged = bytearray(good)
            damaged[where] ^= 0x40
            one_line(f"damage in {sentence}", [sysload, write("damaged", bytes(damaged))])

        # strip drops what stands behind the last section; the jumps stay.
        for tool in ("strip", "objcopy"):
            stripped = place.bin / f"by_{tool}"
            subprocess.run([f"/usr/bin/{tool}", str(program), *(["-o"] if tool == "strip" else []),
                            str(stripped)], check=True, stderr=subprocess.DEVNULL)
            stripped.chmod(0o755)
            one_line(f"a file behind {tool}", [sysload, stripped], "trailer", "strip")
        # Without sysload's help: the kernel finds no interpreter in it. It must not run.
        outcome = None
        try:
            outcome = e2e.run([place.bin / "by_strip"], work, place.environment())
        except OSError as error:
            report.check(True, f"a stripped file does not start by itself ({error.strerror})")
        if outcome is not None:
            report.check(outcome.status == 127 and outcome.stderr.startswith(b"sysload: "),
                         "a stripped file does not start by itself", outcome)


TOPICS = {"seen": seen, "argv0": argv0, "headers": headers, "heap": heap, "mdwe": mdwe, "others": others,
          "debugger-glibc": lambda report: debugger(report, "glibc"),
          "debugger-glibcpie": lambda report: debugger(report, "glibcpie"),
          "counts": counts, "descriptors": descriptors, "failures": failures}


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    e2e.main(TOPICS)
