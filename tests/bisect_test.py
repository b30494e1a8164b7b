#!/usr/bin/python3
"""`sysrewrite bisect` finds a wrong patch that was planted among the sites of a C program and its libc.
Usage: bisect_test.py SYSREWRITE WORK-DIRECTORY [unittest arguments]

The wrong patch is a true one: a table in code, of which nothing says that it is data, and which
decodes as a system call. The program prints it, so that whoever patches it changes the output.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

SYSREWRITE = WORK = None
GCC = "/usr/bin/gcc"

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
__asm__(".text\n.p2align 4\ntable: .byte 0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xc3\n.p2align 4\n");
extern const unsigned char table[];
static const unsigned char* volatile bytes = table;         /* no operand names the table, or it were known for data */
int main(int argc, char** argv) {
  const int mode = argc > 1 ? atoi(argv[1]) : 0;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (mode == 1) printf("%ld\n", now.tv_nsec);              /* another output each time */
  if (mode == 2) return (int)(now.tv_nsec / 1000 % 101);    /* another status each time, none of those that say it did not start */
  if (mode == 3) for (;;) pause();
  if (mode == 4) return 0;                                  /* never looks at the table */
  if (mode == 5) fprintf(stderr, "%d\n", bytes[0]);
  if (mode < 2) for (int i = 0; i < 8; ++i) printf("%02x ", bytes[i]);
  return bytes[0] == 0xb8 ? 0 : 5;
}
"""


class Bisecting(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(dir=WORK))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.program = self.dir / "program"
        (self.dir / "program.c").write_text(PROGRAM)
        subprocess.run([GCC, "-O1", self.dir / "program.c", "-o", self.program], check=True)
        symbols = subprocess.run(["/usr/bin/nm", self.program], capture_output=True, text=True,
                                 check=True).stdout
        self.table = next(int(line.split()[0], 16) for line in symbols.splitlines()
                          if line.endswith(" table"))

    def bisect(self, *args, expect=0):
        done = subprocess.run([SYSREWRITE, "bisect", *map(str, args)], capture_output=True,
                              text=True, timeout=300, check=False)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done

    def found(self, *args):
        return json.loads(self.bisect("-q", "--json", *args).stdout)

    def test_finds_the_planted_patch_among_hundreds(self):
        found = self.found("--", self.program)
        self.assertEqual(found["file"], str(self.program))
        self.assertEqual(found["site"]["address"], self.table + 5)
        self.assertEqual(found["site"]["symbol"], "table+0x5")
        self.assertGreater(found["sites"], 500)
        self.assertLess(found["runs"], 20)

    def test_the_report_shows_the_code_and_the_way_out(self):
        done = self.bisect("--", self.program)
        self.assertIn("<table+0x5> tier A", done.stdout)
        self.assertIn("mov $0x27, %eax", done.stdout)
        self.assertIn(f"sysrewrite --exclude {self.table + 5:#x} leaves it native", done.stdout)
        self.assertIn("with the first 0: as natively", done.stderr)

    def test_the_way_out_leads_out(self):
        output = self.dir / "out"
        subprocess.run([SYSREWRITE, "-q", f"--exclude={self.table + 5:#x}", "--no-interp", self.program,
                        output], check=False)
        self.assertEqual(output.read_bytes().count(bytes.fromhex("b8270000000f05c3")), 1)

    def test_what_differs_natively_too_is_not_compared(self):
        found = self.found("--", self.program, 1)
        self.assertEqual(found["site"]["address"], self.table + 5)
        self.assertIn("standard output: 1 of 2 lines differs from one native run to the next: not compared",
                      self.bisect("--", self.program, 1).stderr)
        # Quiet or not, who hears that there is nothing to find hears of what nobody looked at.
        error = self.bisect("-q", "--", "/bin/sh", "-c", f"{self.program} 1 | sed 1q; {self.program} 4", expect=1).stderr
        self.assertIn("there is nothing to find; standard output: 1 of 1 lines differs from one native run", error)
        grows = self.dir / "grows"
        error = self.bisect("-q", "--", "/bin/sh", "-c", f"echo >>{grows}; cat {grows}", expect=1).stderr
        self.assertIn("standard output has now more, now fewer lines", error)

    def test_standard_error_counts(self):
        self.assertEqual(self.found("--", self.program, 5)["site"]["address"], self.table + 5)

    def test_children_count(self):
        found = self.found("--", "/bin/sh", "-c", f"echo begin; {self.program}; echo end")
        self.assertEqual((found["file"], found["site"]["address"]),
                         (str(self.program), self.table + 5))

    def test_what_stays_behind_does_not_count(self):
        """A child that outlives CMD opens a library when there is no server any more, and says so."""
        for _ in range(3):
            found = self.found("--", "/bin/sh", "-c", f"(sleep 0.02; /bin/true) & {self.program} 1 >/dev/null; {self.program}")
            self.assertEqual((found["file"], found["site"]["address"]), (str(self.program), self.table + 5))

    def test_nothing_to_find(self):
        self.assertIn("there is nothing to find",
                      self.bisect("--", self.program, 4, expect=1).stderr)

    def test_unsteady_programs_are_named(self):
        self.assertIn("CMD is not steady", self.bisect("--", self.program, 2, expect=1).stderr)

    def test_what_never_ends_is_ended(self):
        self.assertIn("CMD takes more than 0.3 seconds natively",
                      self.bisect("--timeout=0.3", "--", self.program, 3, expect=1).stderr)

    def test_programs_that_are_steady_only_at_first_are_named(self):
        count = self.dir / "count"
        self.assertIn("CMD is not steady",
                      self.bisect("--", "/bin/sh", "-c", f"echo >>{count}; test $(wc -l <{count}) -le 2", expect=1).stderr)

    def test_what_cannot_be_started(self):
        self.assertIn("No such file", self.bisect("--", self.dir / "none", expect=1).stderr)
        self.assertIn("Permission denied", self.bisect("--", self.dir, expect=1).stderr)

    def test_statuses_that_shells_use_are_statuses(self):
        for status in (126, 127):
            self.assertIn("there is nothing to find", self.bisect("--", "/bin/sh", "-c", f"exit {status}", expect=1).stderr)

    def test_what_never_stops_printing_is_stopped(self):
        self.assertIn("CMD prints more than 64 MiB", self.bisect("--", "/usr/bin/yes", "a" * 1000, expect=1).stderr)

    def test_ignored_children_are_waited_for(self):
        script = 'import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])'
        done = subprocess.run([sys.executable, "-c", script, SYSREWRITE, "bisect", "-q", "--json", "--", self.program],
                              capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(json.loads(done.stdout)["site"]["address"], self.table + 5)

    def test_what_ends_it_ends_the_program(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            name = f"{self.dir}/runs"
            with subprocess.Popen([SYSREWRITE, "bisect", "-q", "--", "/bin/sh", "-c", f"echo $$ >{name}; exec sleep 600"],
                                  stdin=subprocess.DEVNULL) as bisect:
                while not (os.path.exists(name) and (text := pathlib.Path(name).read_text()).endswith("\n")):
                    time.sleep(0.01)
                bisect.send_signal(number)
                self.assertEqual(bisect.wait(timeout=60), -number)
            os.remove(name)
            with self.assertRaises(ProcessLookupError):
                os.kill(int(text), 0)

    def test_usage(self):
        self.bisect(expect=2)
        for seconds in ("-1", "0", "nan", "none"):
            said = self.bisect("--timeout", seconds, "--", self.program, expect=2).stderr
            self.assertIn(f"--timeout: {seconds} is no number of seconds above 0", said)
        text = self.bisect("--help").stdout
        for part in ("CMD", "--uncertain WHAT", "--tiers ABCD", "--timeout SECONDS", "--json",
                     "Examples:", "Exit status:"):
            self.assertIn(part, text)


if __name__ == "__main__":
    SYSREWRITE = pathlib.Path(sys.argv[1]).resolve()
    WORK = pathlib.Path(sys.argv[2]).resolve()
    WORK.mkdir(parents=True, exist_ok=True)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
