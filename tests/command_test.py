#!/usr/bin/python3
"""`sysrewrite IN OUT` as its user meets it: what it prints, its exit status, and what it decides.
Usage: command_test.py SYSREWRITE GOLDEN-SOURCES WORK-DIRECTORY [unittest arguments]
"""

import json
import os
import shutil
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True

import command_case
from command_case import CommandTest, GCC, assemble


class Talking(CommandTest):
    def test_help_teaches(self):
        text = self.run_command("--help").stdout
        for part in ("Usage:", "IN", "OUT", "--interp PATH", "--no-interp", "--format FORMAT",
                     "--stub KIND", "--no-native-tail", "--on-unpatchable WHAT",
                     "--uncertain WHAT", "--symbols", "--tiers ABCD", "--hook HOOK", "--force", "--json",
                     "--dry-run", "--quiet", "--version", "/usr/lib/sysload", "Examples:",
                     "Exit status:", "3  written, but sites were left native"):
            self.assertIn(part, text)
        self.assertLessEqual(max(map(len, text.splitlines())), 110)

    def test_version_is_one_line(self):
        self.assertRegex(self.run_command("--version").stdout, r"\Asysrewrite \d+\.\d+\.\d+\n\Z")

    def test_usage_errors_are_status_2_and_write_nothing(self):
        for args in ([], [self.input], [self.input, self.output, "more"],
                     ["--no-such-option", self.input, self.output],
                     ["--format=elf", self.input, self.output],
                     ["--stub=none", self.input, self.output],
                     ["--on-unpatchable=maybe", self.input, self.output],
                     ["--uncertain=maybe", self.input, self.output],
                     ["--tiers=AX", self.input, self.output],
                     ["--hook=nosuch:filter=%file", self.input, self.output],
                     ["--hook=trace:output=a\tb", self.input, self.output],
                     [self.input, self.output, "--interp"]):
            before = self.listing()
            done = self.run_command(*args, expect=2)
            self.assertEqual(done.stdout, "", args)
            self.assertRegex(done.stderr, r"\Asysrewrite: ", args)
            self.assertIn("--help", done.stderr, args)
            self.assertEqual(self.listing(), before)

    def test_words_in_brackets_are_what_they_are(self):
        shutil.copy(self.input, self.dir / "[a,b]")
        for name in ("[a,b]", "[]"):
            done = self.run_command("inspect", "--summary", name, cwd=self.dir, expect=0 if name == "[a,b]" else 1)
            self.assertIn(name, done.stdout + done.stderr)
        self.assertIn("1 file", self.run_command("inspect", "--summary", "[a,b]", cwd=self.dir).stdout)

    def test_options_in_front_of_a_command_rewrite_no_file_of_its_name(self):
        shutil.copy(self.input, self.dir / "verify")
        said = self.fail_command("-q", "verify", self.input, expect=2, cwd=self.dir)
        self.assertIn("options stand behind the command", said)
        self.run_command("-q", "./verify", self.output, cwd=self.dir)

    def test_report_goes_to_stderr_and_quiet_silences_it(self):
        done = self.run_command(self.input, self.output)
        self.assertEqual(done.stdout, "")
        for part in (f"{self.input} -> {self.output}", "1 sites of 1 `0f 05` pairs", "tier A",
                     "started by /usr/lib/sysload"):
            self.assertIn(part, done.stderr)
        done = self.run_command("--quiet", self.input, self.output)
        self.assertEqual(done.stdout + done.stderr, "")

    def test_report_says_of_what_nobody_starts_that_it_crashes(self):
        started, crashes = "started", "its first call crashes"
        done = self.run_command("--no-interp", self.input, self.output)
        self.assertNotIn(started, done.stderr)
        self.assertIn(f"  names no sysload: where nobody maps its trampoline {crashes}", done.stderr)
        library = self.dir / "library"
        subprocess.run([GCC, "-nostdlib", "-shared", "-I", command_case.GOLDEN,
                        command_case.GOLDEN / "shared_library.in.S", "-o", library], check=True)
        done = self.run_command(library, self.output)
        self.assertNotIn(started, done.stderr)
        self.assertIn("  mapped by a rewritten ld.so under sysload", done.stderr)
        self.assertIn(crashes, done.stderr)
        nothing = self.dir / "nothing"
        assemble("nothing_to_do", nothing)
        done = self.run_command("--no-interp", nothing, self.output)
        self.assertIn("  started as before", done.stderr)
        self.assertNotIn(crashes, done.stderr)

    def test_json_has_this_shape(self):
        done = self.run_command("--json", self.input, self.output)
        self.assertEqual(done.stderr, "")
        report = json.loads(done.stdout)
        self.assertEqual(report["input"], str(self.input))
        self.assertEqual(report["output"], str(self.output))
        self.assertEqual(report["kind"], "static executable")
        self.assertEqual(report["interpreter"], "/usr/lib/sysload")
        self.assertEqual(report["input_size"], self.input.stat().st_size)
        self.assertEqual(report["output_size"], self.output.stat().st_size)
        self.assertIs(report["dry_run"], False)
        self.assertIs(report["already_rewritten"], False)
        self.assertEqual(report["tiers"], {"A": 1, "B": 0, "C": 0, "D": 0, "native": 0})
        self.assertEqual(report["candidates"], {"total": 1, "instruction": 1, "inside": 0,
                                                "data": 0, "uncertain": 0})
        self.assertEqual(report["other_calls"], [])
        self.assertEqual(len(report["pairs"]), 1)
        (site,) = report["sites"]
        self.assertEqual(site["address"], 0x401005)
        self.assertEqual(site["tier"], "A")
        self.assertEqual(site["window"], {"address": 0x401000, "size": 7})
        self.assertEqual(site["stub"], report["trampoline"]["address"] + 4096)
        self.assertTrue(site["reason"] and site["evidence"])

    def test_json_of_an_error_is_an_object_too(self):
        self.input.write_bytes(b"#!/bin/sh\n")
        done = self.run_command("--json", self.input, self.output, expect=1)
        error = json.loads(done.stdout)
        self.assertEqual(error["input"], str(self.input))
        self.assertIn("not an ELF file", error["error"])
        self.assertEqual(error["where"], 0)
        self.assertIn("not an ELF file", done.stderr)

    def test_json_survives_names_that_are_no_utf8(self):
        odd = os.fsencode(self.dir) + b"/\xff\xfe"
        os.rename(self.input, odd)
        done = subprocess.run([command_case.SYSREWRITE, "--json", odd, self.output], capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        json.loads(done.stdout)

    def test_terminals_are_not_given_orders(self):
        """A name in a file, or of one, may hold escape sequences: they are written out."""
        order = b"\x1b]0;title\x07"
        named = os.fsencode(self.dir) + b"/" + order
        text = "\n".join([".globl _start, the_function_x", "_start:", "the_function_x:", "mov $60, %eax", "xor %edi, %edi",
                          "syscall", ""])
        subprocess.run([GCC, "-nostdlib", "-static", "-x", "assembler", "-", "-o", self.input], input=text.encode(),
                       check=True)
        whole = self.input.read_bytes()
        self.assertEqual(whole.count(b"the_function_x"), 1)
        with open(named, "wb") as file:
            file.write(whole.replace(b"the_function_x\0", order + b"\0\0\0"))
        for words in (["inspect", named], ["inspect", "--summary", named], ["inspect", "--disassemble", named],
                      [named, self.output], ["verify", named], ["restore", named, self.output],
                      [named + b"nothing", self.output], ["run", "--", named + b"nothing"]):
            done = subprocess.run([command_case.SYSREWRITE, *words], capture_output=True)
            said = done.stdout + done.stderr
            self.assertIn(rb"\x1b]0;title\x07", said, words)
            self.assertFalse(set(said) & (set(range(32)) - {10} | {127}), (words, said))

    def test_a_name_is_one_line(self):
        named = self.dir / "one\ntwo: proven"
        shutil.copy(self.input, named)
        for words in ([named, self.output], ["verify", named], ["restore", named, self.output], [f"{named}x", self.output],
                      ["inspect", "--summary", f"{named}x"]):
            done = subprocess.run([command_case.SYSREWRITE, *words], capture_output=True, text=True)
            said = done.stdout + done.stderr
            self.assertIn("one\\ntwo: proven", said, words)
            self.assertNotIn("\ntwo", said, words)

    def test_dry_run_decides_everything_and_writes_nothing(self):
        before = self.listing()
        dry = json.loads(self.run_command("--dry-run", "--json", self.input, self.output).stdout)
        self.assertEqual(self.listing(), before)
        wet = json.loads(self.run_command("--json", self.input, self.output).stdout)
        self.assertIs(dry.pop("dry_run"), True)
        wet.pop("dry_run")
        self.assertEqual(dry, wet)


class Deciding(CommandTest):
    def test_a_site_that_no_jump_fits(self):
        assemble("endbr64_before", self.input)
        done = self.run_command(self.input, self.output)
        self.assertIn("0x401004: trap: an instruction of the window cannot run elsewhere",
                      done.stderr)
        self.run_command("--on-unpatchable=trap", self.input, self.output)
        done = self.run_command("--on-unpatchable=keep", self.input, self.output, expect=3)
        self.assertIn("0x401004: native: an instruction", done.stderr)
        again = self.run_command(self.output, self.dir / "again", expect=3)
        self.assertIn("already rewritten, and some sites were left native", again.stderr)
        (self.dir / "again").unlink()
        self.output.unlink()
        message = self.fail_command("--on-unpatchable=fail", self.input, self.output)
        self.assertIn("no jump fits at 0x401004", message)
        # What is excluded is to stay as it is.
        self.run_command("--on-unpatchable=fail", "--exclude=0x401004", self.input, self.output, expect=3)

    def test_tiers_can_be_chosen(self):
        for letters, tier, status in (("A", "A", 0), ("abcd", "A", 0), ("D", "D", 0),
                                      ("B", "N", 3), ("BD", "D", 0)):
            done = self.run_command("--json", f"--tiers={letters}", self.input, self.output,
                                    expect=status)
            self.assertEqual(json.loads(done.stdout)["sites"][0]["tier"], tier, letters)

    def test_symbols_are_said_and_seen(self):
        self.assertIs(json.loads(self.run_command("--json", self.input, self.output).stdout)
                      ["symbols"]["named"], False)
        report = json.loads(self.run_command("--json", "--symbols", self.input, self.output).stdout)
        self.assertEqual(report["symbols"], {"named": True, "with_unwind_tables": 0})
        self.assertIn("name the stubs", self.run_command("inspect", self.output).stdout)
        names = subprocess.run(["/usr/bin/nm", self.output], capture_output=True, text=True,
                               check=True).stdout
        self.assertRegex(names, rf"{report['sites'][0]['stub']:016x} T \S+\.syscall_1\n")
        again = self.run_command("--symbols", self.output, self.dir / "again")
        self.assertIn("already rewritten", again.stderr)

    def test_symbols_need_section_headers_that_make_sense(self):
        broken = bytearray(self.input.read_bytes())
        broken[62:64] = b"\0\0"
        self.input.write_bytes(broken)
        message = self.fail_command("--symbols", self.input, self.output)
        self.assertIn("--symbols cannot add to the section headers: e_shstrndx names section 0",
                      message)

    def test_an_uncertain_pair_is_status_3_and_listed(self):
        assemble("table_behind_a_jump", self.input)
        done = self.run_command(self.input, self.output, expect=3)
        self.assertEqual(done.stderr.count("0f 05 left alone"), 2)
        for what in ("trap", "patch"):
            done = self.run_command("--json", f"--uncertain={what}", self.input, self.output)
            self.assertEqual(json.loads(done.stdout)["candidates"]["uncertain"], 0)

    def test_other_entries_of_the_kernel_are_listed(self):
        assemble("other_entries_of_the_kernel", self.input)
        done = self.run_command(self.input, self.output)
        self.assertIn("0x401005: int $0x80 left alone", done.stderr)
        self.assertIn("sysenter left alone", done.stderr)
        self.assertIn("int $0x80", self.run_command("inspect", "--site", "0x401005", self.input).stdout)

    def test_interpreter_of_a_dynamic_program(self):
        for path, start in (("/usr/lib/sysload", "by /usr/lib/sysload\n"),
                            ("/a/path/of/twenty-eight/char", "is lost by strip")):
            done = self.run_command("--interp", path, "/bin/true", self.output)
            self.assertIn(start, done.stderr)
            named = subprocess.run(["/usr/bin/readelf", "-lW", self.output], capture_output=True,
                                   text=True, check=True).stdout
            self.assertIn(f"[Requesting program interpreter: {path}]", named)

    def test_no_interp_leaves_the_interpreter_alone(self):
        self.run_command("--no-interp", "/bin/true", self.output)
        self.assertIn(b"/lib64/ld-linux-x86-64.so.2\0", self.output.read_bytes())
        self.assertNotIn(b"sysload", self.output.read_bytes())

    def test_a_library_says_what_it_needs(self):
        for path, says in (("/lib/x86_64-linux-gnu/libc.so.6", True),
                           ("/lib/x86_64-linux-gnu/libpthread.so.0", False),  # nothing to rewrite
                           ("/usr/lib/x86_64-linux-musl/libc.so", False)):    # is an ld.so itself
            done = self.run_command(path, self.output)
            self.assertEqual("mapped by a rewritten ld.so under sysload" in done.stderr, says, done.stderr)

    def test_interpreter_must_be_absolute(self):
        message = self.fail_command("--interp", "sysload", self.input, self.output)
        self.assertIn("is no absolute path", message)

    def test_litebox_implies_no_tail(self):
        self.run_command("--format=litebox", self.input, self.output)
        self.assertEqual(self.output.read_bytes()[-32:-24], b"LITEBOX0")

    def test_hook_is_written_into_the_file(self):
        for hook in ("count", "none", "trace:filter=%file", "./mine.so", "/there/is/no.so:x=1"):
            self.run_command("--hook", hook, self.input, self.output)
            self.assertIn(f"hook={hook}\0".encode(), self.output.read_bytes())


if __name__ == "__main__":
    command_case.settle(*sys.argv[1:4])
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
