#!/usr/bin/python3
"""perf in programs that were rewritten: it names the stub that a call is in, and finds the callers that it finds in
the unpatched program.

Ends with 77, which ctest counts as not run, where the kernel lets nobody look.

usage: perf_test.py SYSREWRITE SYSLOAD DIRECTORY
"""
import collections
import os
import shutil
import subprocess
import sys
import unittest

SYSREWRITE, SYSLOAD, WORK = (os.path.abspath(path) for path in sys.argv[1:4])

# Half of its time is spent in the call, and the rest in its callers.
SOURCE = r"""
#include <unistd.h>
volatile long sum;
__attribute__((noinline)) long inner(void) {
  for (int i = 0; i < 100; i++) sum += i;
  return getppid() + sum;
}
__attribute__((noinline)) long caller(void) { return inner() + 1; }
int main(void) {
  long all = 0;
  for (int i = 0; i < 300000; i++) all += caller();
  return all == 0;
}
"""
# A library with a site of its own.
LIBRARY = SOURCE.replace("getppid()", "parent()").replace("int main(void)", "int run(void)").replace(
    "volatile long sum;", r"""
__attribute__((noinline)) static long parent(void) {
  long r;
  __asm__ volatile("mov $110, %%eax; syscall; nop; nop; nop; nop" : "=a"(r) : : "rcx", "r11", "memory");
  return r;
}
volatile long sum;""")
LEAST = 20  # samples in the stub; at 5 kHz there are 200 or more


def run(*command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
                          check=True, text=True, **more).stdout


def perf(name, *arguments):
    # Of this test alone: perf keeps files by their build ID, which both have in common.
    return ["perf", "--buildid-dir", os.path.join(WORK, name + ".cache"), *arguments]


def stacks(name, *program, **environment):
    """How often perf saw which frames of the program, innermost first."""
    data = os.path.join(WORK, name + ".data")
    run(*perf(name, "record", "-q", "-e", "cpu-clock", "-F", "5000", "--call-graph", "dwarf,4096", "-o", data,
              *program), env={**os.environ, **environment})
    found = collections.Counter()
    for sample in run(*perf(name, "script", "-i", data, "-F", "ip,sym", "--no-inline")).split("\n\n"):
        frames = [line.split() for line in sample.splitlines()]
        # The kernel's part of the address space is the upper half.
        found[tuple(frame[1] for frame in frames if len(frame) > 1 and int(frame[0], 16) < 1 << 47)] += 1
    return found


def below(found, leaf):
    """What calls it, where perf says so most often, and how often."""
    callers = collections.Counter()
    for frames, count in found.items():
        if frames and frames[0] == leaf:
            callers[frames[1:]] += count
    return callers.most_common(1)[0] if callers else ((), 0)


def build(name, source, *options):
    path = os.path.join(WORK, name)
    with open(path + ".c", "w", encoding="ascii") as out:
        out.write(source)
    run("gcc", "-O1", "-g", *options, "-o", path, path + ".c")
    return path


def rewrite(path, output, *options):
    run(SYSREWRITE, "-q", *options, path, output)
    run(SYSREWRITE, "verify", output, "--against", path)
    return output


class Perf(unittest.TestCase):
    def same(self, native, patched, leaf, stub):
        native_callers, native_count = below(native, leaf)
        callers, count = below(patched, stub)
        self.assertGreaterEqual(min(native_count, count), LEAST, patched)
        self.assertEqual(callers, native_callers)
        return callers

    def program(self, name, shape, *options):
        path = build(name, SOURCE, shape)
        patched = rewrite(path, path + ".out", "--interp", SYSLOAD, *options)
        return self.same(stacks(name, path), stacks(name + ".out", patched), "__getppid", "getppid.syscall_1")

    def test_callers_of_a_stub_in_a_segment(self):
        callers = self.program("pie", "-static-pie", "--embed=segment", "--symbols")
        self.assertEqual(callers[:3], ("inner", "caller", "main"))

    def test_callers_of_an_unnamed_stub_in_a_segment(self):
        path = build("unnamed", SOURCE, "-static-pie")
        patched = rewrite(path, path + ".out", "--interp", SYSLOAD, "--embed=segment")
        callers = [frames[1:4] for frames in stacks("unnamed.out", patched) if "inner" in frames[1:2]]
        self.assertIn(("inner", "caller", "main"), callers)

    def test_names_of_stubs_at_a_fixed_address(self):
        # perf itself finds no callers in such a program, natively neither.
        self.program("fixed", "-static", "--embed=segment", "--symbols")

    def test_names_of_stubs_behind_the_file(self):
        self.program("behind", "-static", "--symbols")

    def test_callers_of_a_stub_of_a_library(self):
        library = build("liblooked.so", LIBRARY, "-shared", "-fPIC", "-Wl,-soname,liblooked.so")
        program = build("looks", "int run(void); int main(void) { return run(); }", "-Wl,--no-as-needed", library)
        patched = os.path.join(WORK, "patched")
        os.makedirs(patched)
        rewrite(library, os.path.join(patched, "liblooked.so"), "--embed=segment", "--symbols")
        ldso = rewrite(os.path.realpath("/lib64/ld-linux-x86-64.so.2"), os.path.join(patched, "ld.so"),
                       "--interp", SYSLOAD)
        callers = self.same(stacks("looks", program, LD_LIBRARY_PATH=WORK),
                            stacks("looks.out", ldso, "--library-path", patched, program),
                            "parent", "parent.syscall_1")
        self.assertEqual(callers[:4], ("inner", "caller", "run", "main"))


def may_look():
    # With 2 it sees no part of the kernel, and so none of the samples that are taken in a call.
    with open("/proc/sys/kernel/perf_event_paranoid", encoding="ascii") as paranoid:
        if os.geteuid() != 0 and int(paranoid.read()) > 1:
            print("perf_event_paranoid lets only root look at system calls")
            return False
    probe = subprocess.run(perf("probe", "record", "-q", "-e", "cpu-clock", "-o", os.path.join(WORK, "probe"), "true"),
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(probe.stdout, end="")
    return probe.returncode == 0


if __name__ == "__main__":
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    if not may_look():
        sys.exit(77)
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
