#!/usr/bin/python3
"""Programs whose code is written over while they run, at places that the compiler lists for that: XRay's sleds,
patchable function entries, SDT probes. Patches must keep off them, and the programs do the same rewritten.

usage: tracers_test.py SYSREWRITE SYSLOAD DIRECTORY
"""
import json
import os
import re
import subprocess
import sys
import unittest

SYSREWRITE, SYSLOAD, WORK = (os.path.abspath(path) for path in sys.argv[1:4])

# Its exit sled, behind the return, is 10 bytes of nop: where nothing seems to run.
XRAY = r"""
#include <stdio.h>
#include <unistd.h>
__attribute__((noinline, xray_always_instrument)) long raw(long n) {
  long r;
  __asm__ volatile("syscall" : "=a"(r) : "a"(n) : "rcx", "r11", "memory");
  return r;
}
int main(void) {
  for (int i = 0; i < 3; i++) puts(raw(39) == getpid() ? "right" : "wrong");
  return 0;
}
"""

# Puts a call where the compiler left nops, as tracers of functions do. Behind them a call is made at once.
PATCHABLE = r"""
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
__attribute__((noinline)) long raw(int a) {
  long r;
  __asm__ volatile("syscall" : "=a"(r) : "0"(a) : "rcx", "r11", "memory");
  __asm__ volatile(".rept 60\n add $1, %%r8\n .endr" : : : "r8");  // no padding in reach
  return r;
}
int hits;
NOT_PATCHED __attribute__((used, naked)) static void hook(void) { __asm__("incl hits(%rip)\n ret"); }
extern char* __start___patchable_function_entries[];
extern char* __stop___patchable_function_entries[];
static int patch(void) {
  int count = 0;
  for (char** at = __start___patchable_function_entries; at < __stop___patchable_function_entries; at++) {
    if (*at != (char*)raw) continue;
    char* page = (char*)((uintptr_t)*at & ~(uintptr_t)4095);
    mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC);
    const int distance = (int)((char*)hook - (*at + 5));
    **at = (char)0xe8;
    memcpy(*at + 1, &distance, 4);
    count++;
  }
  return count;
}
int main(void) {
  puts(raw(39) == getpid() ? "right" : "wrong");
  const int patched = patch();
  puts(raw(39) == getpid() ? "right" : "wrong");
  printf("%d patched, %d hits\n", patched, hits);
  return 0;
}
"""

# What <sys/sdt.h> makes of DTRACE_PROBE(app, before), directly in front of the call.
PROBE = r"""
#include <stdio.h>
#include <unistd.h>
#define PROBE \
  "990: nop\n .pushsection .note.stapsdt, \"\", \"note\"\n .balign 4\n .4byte 992f-991f, 994f-993f, 3\n" \
  "991: .asciz \"stapsdt\"\n 992: .balign 4\n 993: .8byte 990b\n .8byte _.stapsdt.base\n .8byte 0\n" \
  ".asciz \"app\"\n .asciz \"before\"\n .asciz \"\"\n 994: .balign 4\n .popsection\n" \
  ".ifndef _.stapsdt.base\n .pushsection .stapsdt.base, \"aG\", \"progbits\", .stapsdt.base, comdat\n" \
  ".weak _.stapsdt.base\n .hidden _.stapsdt.base\n _.stapsdt.base: .space 1\n .size _.stapsdt.base, 1\n" \
  ".popsection\n .endif\n"
__attribute__((noinline)) long raw(int n) {
  long r;
  __asm__ volatile(".rept 60\n add $1, %%r8\n .endr" : : : "r8");
  __asm__ volatile("mov %1, %%eax\n" PROBE " syscall" : "=a"(r) : "r"(n) : "rcx", "r11", "memory");
  __asm__ volatile(".rept 60\n add $1, %%r8\n .endr" : : : "r8");
  return r;
}
int main(void) { return puts(raw(39) == getpid() ? "right" : "wrong") < 0; }
"""

# Counts on the processor that it is on, by a sequence that begins anew where its thread is interrupted. The store that ends
# it stands directly in front of a call.
RESTARTABLE = r"""
#include <pthread.h>
#include <stdio.h>
#include <sys/rseq.h>
#include <unistd.h>
enum { kThreads = 8, kTimes = 50000, kProcessors = 1024 };
static long counts[kProcessors];
__attribute__((noinline)) long count(void) {
  long r;
  __asm__ volatile(".pushsection __rseq_cs, \"aw\"\n .balign 32\n 3: .long 0, 0\n .quad 1f, 2f-1f, 4f\n .popsection\n"
                   "5: lea 3b(%%rip), %%rax\n mov %%rax, %%fs:8(%1)\n mov $110, %%eax\n"
                   "1: mov %%fs:4(%1), %%ecx\n mov 0x1000(%2,%%rcx,8), %%rdx\n inc %%rdx\n"
                   " .globl last\n last: mov %%rdx, 0x1000(%2,%%rcx,8)\n"
                   "2: syscall\n"
                   ".rept 60\n add $1, %%r8\n .endr\n"
                   ".pushsection __rseq_failure, \"ax\"\n .byte 0x0f, 0xb9, 0x3d\n .long 0x53053053\n"
                   "4: jmp 5b\n .popsection"
                   : "=&a"(r) : "r"(__rseq_offset), "r"((char*)counts - 0x1000) : "rcx", "rdx", "r8", "r11", "memory");
  return r;
}
static void* work(void* wrong) {
  for (int i = 0; i < kTimes; i++)
    if (count() != getppid()) *(int*)wrong = 1;
  return NULL;
}
int main(void) {
  pthread_t threads[kThreads];
  int wrong = __rseq_size == 0;
  long sum = 0;
  for (int i = 0; i < kThreads; i++) pthread_create(&threads[i], NULL, work, &wrong);
  for (int i = 0; i < kThreads; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < kProcessors; i++) sum += counts[i];
  printf("%ld counted, wrong: %d\n", sum, wrong);
  return 0;
}
"""


def run(*command, **environment):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=True,
                          text=True, env={**os.environ, **environment}).stdout


class Tracers(unittest.TestCase):
    maxDiff = None

    def build(self, name, source, *command):
        path = os.path.join(WORK, name)
        with open(path + ".c", "w", encoding="ascii") as file:
            file.write(source)
        run(*command, path + ".c", "-o", path)
        run(SYSREWRITE, "-q", "--interp", SYSLOAD, path, path + ".rw")
        run(SYSREWRITE, "verify", path + ".rw", "--against", path)
        return path

    def same(self, path, expected, **environment):
        self.assertEqual(run(path, **environment), expected)
        self.assertEqual(run(path + ".rw", **environment), expected)

    def windows(self, path):
        sites = json.loads(run(SYSREWRITE, "inspect", "--json", path + ".rw"))["sites"]
        return [(site["symbol"], site["tier"], site["window"]["address"], site["window"]["size"])
                for site in sites]

    def test_xray_writes_over_its_sleds(self):
        for model, name in ((["-no-pie", "-fno-pie"], "xray"), (["-fPIE", "-pie"], "xray-pie")):
            path = self.build(name, XRAY, "clang", "-O2", "-fxray-instrument", *model)
            self.same(path, "right\n" * 3)
            traced = {"XRAY_OPTIONS": f"patch_premain=true xray_mode=xray-basic xray_logfile_base={path}."}
            self.same(path, "right\n" * 3, **traced)

    def test_xray_without_section_headers(self):
        path = self.build("xray-stripped", XRAY, "clang", "-O2", "-fxray-instrument")
        run("llvm-strip-14", "--strip-sections", path)
        run(SYSREWRITE, "-q", "--force", "--interp", SYSLOAD, path, path + ".rw")
        self.same(path, "right\n" * 3, XRAY_OPTIONS=f"patch_premain=true xray_mode=xray-basic xray_logfile_base={path}.")

    def test_patchable_function_entries(self):
        for compiler, attribute in (("gcc", "__attribute__((patchable_function_entry(0)))"),
                                    ("clang", "__attribute__((patchable_function_entry(0)))")):
            for model in ["-no-pie", "-fno-pie"], ["-fPIE", "-pie"], ["-fPIE", "-pie", "-Wl,-z,pack-relative-relocs"]:
                path = self.build(f"{compiler}{len(model)}{model[0]}", PATCHABLE.replace("NOT_PATCHED", attribute), compiler,
                                  "-O1", "-fcf-protection=none", "-fpatchable-function-entry=5", *model)
                self.same(path, "right\nright\n1 patched, 1 hits\n")

    def test_verify_reads_the_lists_itself(self):
        """What was rewritten while the list had another name is no proof once it has its own."""
        for name, source, section, what in (
                ("listed", PATCHABLE.replace("NOT_PATCHED", ""), b"__patchable_function_entries", "a patchable entry"),
                ("noted", PROBE, b".note.stapsdt", "an SDT probe"),
                ("restarted", RESTARTABLE, b"__rseq_cs", "a restartable sequence")):
            path = self.build(name, source, "gcc", "-O1", "-pthread", "-fcf-protection=none", "-fpatchable-function-entry=5")
            hidden = section[:-2] + b"XX"
            with open(path, "rb") as file:
                contents = file.read()
            with open(path, "wb") as file:
                file.write(contents.replace(section + b"\0", hidden + b"\0"))
            run(SYSREWRITE, "-q", "--interp", SYSLOAD, path, path + ".rw")
            run(SYSREWRITE, "verify", path + ".rw")
            with open(path + ".rw", "rb") as file:
                contents = file.read()
            with open(path + ".rw", "wb") as file:
                file.write(contents.replace(hidden + b"\0", section + b"\0"))
            done = subprocess.run([SYSREWRITE, "verify", path + ".rw"], capture_output=True, text=True, check=False,
                                  timeout=120)
            self.assertEqual(done.returncode, 1, name)
            self.assertIn(f"{what}: found it in the patch of the site", done.stderr)

    def test_no_restartable_sequence_is_moved(self):
        for model in ["-no-pie", "-fno-pie"], ["-fPIE", "-pie"], ["-fPIE", "-pie", "-Wl,-z,pack-relative-relocs"], ["-static"]:
            path = self.build(f"restartable{len(model)}{model[0]}", RESTARTABLE, "gcc", "-O1", "-pthread", *model)
            self.same(path, "400000 counted, wrong: 0\n")
            self.same(path, "400000 counted, wrong: 0\n", SYSLOAD_HOOK="pass:entry:exit")
            symbols = run("nm", path)
            last = int(re.search(r"(\w+) T last", symbols)[1], 16)
            windows = [window for window in self.windows(path) if window[2] <= last + 8 < window[2] + window[3]]
            self.assertEqual([window[2] for window in windows], [last + 8], windows)

    def test_no_window_has_a_probe(self):
        for name, strip in (("probe", False), ("probe-stripped", True)):
            path = self.build(name, PROBE, "gcc", "-O1")
            if strip:
                run("strip", path)
                run(SYSREWRITE, "-q", "--interp", SYSLOAD, path, path + ".rw")
            self.same(path, "right\n")
            probes = [int(address, 16) for address in re.findall(r"Location: (0x\w+)", run("readelf", "-n", path))]
            self.assertEqual(len(probes), 1)
            windows = self.windows(path)
            self.assertEqual([w for w in windows if w[2] <= probes[0] < w[2] + w[3]], [])
            # The site behind it is there, and still served.
            self.assertEqual(len([w for w in windows if probes[0] < w[2] + w[3] <= probes[0] + 16]), 1, windows)


if __name__ == "__main__":
    os.makedirs(WORK, exist_ok=True)
    unittest.main(argv=sys.argv[:1], verbosity=2)
