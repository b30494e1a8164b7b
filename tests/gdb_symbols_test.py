#!/usr/bin/python3
"""gdb in programs that were rewritten with --symbols: it names the stub that a call blocks in, shows
the same callers as in the unpatched program, and does so at every instruction of a stub.

usage: gdb_symbols_test.py SYSREWRITE SYSLOAD DIRECTORY
"""
import json
import os
import shutil
import subprocess
import sys
import time
import unittest

SYSREWRITE, SYSLOAD, WORK = (os.path.abspath(path) for path in sys.argv[1:4])
HERE = os.path.dirname(os.path.abspath(__file__))

BLOCKING = r"""
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
__attribute__((noinline)) static int wait_here(int how) {
  struct timespec long_time = {1000, 0};
  char c;
  if (how == 0) return (int)read(0, &c, 1) + 1;
  if (how == 1) return pause() + 1;
  return nanosleep(&long_time, 0) + 1;
}
__attribute__((noinline)) static int caller(int how) { return wait_here(how) + 1; }
int main(int argc, char** argv) { return argc > 1 ? caller(atoi(argv[1])) : 0; }
"""
PASCAL = r"""
program waits;
procedure inner; begin readln end;
begin inner end.
"""
GO = r"""
package main
import "syscall"
//go:noinline
func inner() int { var b [1]byte; n, _ := syscall.Read(0, b[:]); return n }
func main() { println(inner()) }
"""


def run(*command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
                          check=True, text=True, **more).stdout


def gdb(script, **environment):
    """What a script of tests/gdb prints as JSON."""
    out = os.path.join(WORK, "frames.json")
    if os.path.exists(out):
        os.unlink(out)
    done = subprocess.run(
        ["gdb", "-q", "-nx", "-batch", "-x", os.path.join(HERE, "gdb", script)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
        text=True, env={**os.environ, "OUT": out, **environment})
    if not os.path.exists(out):
        raise AssertionError(f"gdb says nothing:\n{done.stdout}")
    with open(out, encoding="utf-8") as file:
        return json.load(file)


def rewrite(path, *options):
    output = path + ".out" + "".join(options).replace("/", "_")
    run(SYSREWRITE, "-q", "--symbols", "--interp", SYSLOAD, *options, path, output)
    run(SYSREWRITE, "verify", output, "--against", path)
    return output


def blocked_frames(path, *arguments):
    """The frames of a program that has come to wait for something."""
    process = subprocess.Popen([path, *arguments], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with open(f"/proc/{process.pid}/syscall", encoding="ascii") as file:
                state = file.read().split()
            # read, poll, nanosleep, pause, clock_nanosleep
            if state[0] in ("0", "7", "35", "34", "230") and state[1:2] != ["-1"]:
                break
            time.sleep(0.05)
        time.sleep(0.2)
        return gdb("frames.py", PROGRAM=path, PID=str(process.pid))
    finally:
        process.kill()
        process.wait()
        process.stdin.close()


def build(name, source, *command):
    path = os.path.join(WORK, name)
    file = path + {"gcc": ".c", "musl-gcc": ".c", "fpc": ".pas", "go": ".go"}[command[0]]
    with open(file, "w", encoding="ascii") as out:
        out.write(source)
    environment = {**os.environ, "CGO_ENABLED": "0", "GOCACHE": os.path.join(WORK, "go"),
                   "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}
    run(*command, f"-o{path}" if command[0] == "fpc" else "-o", *([] if command[0] == "fpc" else [path]),
        file, cwd=WORK, env=environment)
    return path


def names(frames):
    return [frame["name"] for frame in frames]


class Blocked(unittest.TestCase):
    def same_callers(self, path, *arguments, least=3, options=()):
        native = blocked_frames(path, *arguments)
        patched = blocked_frames(rewrite(path, *options), *arguments)
        self.assertRegex(patched[0]["name"], r"\.syscall_[0-9]+$|^syscall_[0-9a-f]+$")
        self.assertEqual(names(patched)[1:], names(native)[1:])
        self.assertGreaterEqual(len(patched), least)
        return patched

    def test_a_static_program_of_glibc(self):
        path = build("glibc", BLOCKING, "gcc", "-O1", "-g", "-static")
        for how in "012":
            frames = names(self.same_callers(path, how, least=4))
            self.assertEqual(frames[-3:], ["wait_here", "caller", "main"][-3:], frames)

    def test_a_static_program_without_symbols(self):
        path = build("stripped", BLOCKING, "gcc", "-O1", "-s", "-static")
        self.same_callers(path, "0", least=4)

    def test_a_position_independent_static_program(self):
        path = build("pie", BLOCKING, "gcc", "-O1", "-g", "-static-pie")
        self.assertEqual(names(self.same_callers(path, "0"))[-1], "main")

    def test_a_static_program_of_musl(self):
        path = build("musl", BLOCKING, "musl-gcc", "-O1", "-g", "-static")
        self.same_callers(path, "0", least=2)

    def test_a_program_of_free_pascal(self):
        path = build("pascal", PASCAL, "fpc", "-g", "-l-", "-v0")
        # Free Pascal's own .debug_frame does not parse (readelf agrees), so its callers are a guess.
        first = names(blocked_frames(rewrite(path)))[0]
        self.assertRegex(first, r"\.syscall_[0-9]+$")

    def test_a_dynamic_program_with_a_call_of_its_own(self):
        source = BLOCKING.replace("return pause() + 1", "__asm__ volatile(\"syscall\" : : \"a\"(34) : "
                                  "\"rcx\", \"r11\", \"memory\")")
        path = build("dynamic", source, "gcc", "-O1", "-g", "-no-pie")
        self.assertEqual(names(self.same_callers(path, "1"))[:3], ["wait_here.syscall_1", "caller", "main"])

    def test_a_go_program(self):
        path = build("golang", GO, "go", "build")
        self.assertIn("main.inner", names(self.same_callers(path)))

    def test_programs_whose_trampoline_is_a_segment(self):
        for name, *options in (("segment", "-static"), ("segment-pie", "-static-pie")):
            path = build(name, BLOCKING, "gcc", "-O1", "-g", *options)
            frames = names(self.same_callers(path, "0", least=4, options=["--embed=segment"]))
            self.assertEqual(frames[-3:], ["wait_here", "caller", "main"][-3:], frames)

    def test_a_segment_that_has_been_stripped(self):
        path = build("segment-stripped", BLOCKING, "gcc", "-O1", "-g", "-static")
        output = rewrite(path, "--embed=segment")
        run("strip", path)
        run("strip", output)
        native, patched = blocked_frames(path, "0"), blocked_frames(output, "0")
        self.assertNotEqual(patched[0]["at"], native[0]["at"])
        self.assertEqual([frame["at"] for frame in patched[1:]], [frame["at"] for frame in native[1:]])
        self.assertGreaterEqual(len(patched), 4)


class Stepped(unittest.TestCase):
    """Every instruction of stubs of all shapes, against the window of the unpatched program."""

    # In the order of the calls.
    SITES = {"covered": "A", "sprung": "B", "windowed": "C", "lowers": "A", "behind": "C", "expressed": "A"}

    def walk(self, *options, functions=None):
        path = os.path.join(WORK, "walked")
        run("gcc", "-nostdlib", "-static", "-o", path, os.path.join(HERE, "gdb", "walked.S"))
        output = rewrite(path, *options)
        sites = json.loads(run(SYSREWRITE, "inspect", "--json", output))["sites"]
        tiers = {site["symbol"].split("+")[0]: site["tier"] for site in sites}
        functions = functions or self.SITES
        for function, tier in functions.items():
            self.assertEqual(tiers[function], tier, function)
        steps = gdb("walk.py", PROGRAM=output, FUNCTIONS=",".join(functions))
        native = gdb("windows.py", PROGRAM=path, FUNCTIONS=",".join(functions))
        for function in functions:
            callers = native[function]
            self.assertEqual([frame["name"] for frame in callers], ["main"])
            self.assertGreaterEqual(len(steps[function]), 7, function)
            for step in steps[function]:
                self.assertEqual(step["callers"], callers, f"{function} at {step['at']}")
                self.assertEqual(step["name"], f"{function}.syscall_1")
                self.assertEqual(step["kept"], steps[function][0]["kept"])
        return steps

    def test_callers_are_the_same_at_every_instruction(self):
        self.walk()

    def test_of_stubs_in_a_segment_too(self):
        self.walk("--embed=segment")

    def test_of_plain_stubs_too(self):
        # sysload runs none of these, so nothing is stepped; verify has read them.
        path = os.path.join(WORK, "walked")
        run("gcc", "-nostdlib", "-static", "-o", path, os.path.join(HERE, "gdb", "walked.S"))
        rewrite(path, "--stub=plain", "--no-native-tail")


if __name__ == "__main__":
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
