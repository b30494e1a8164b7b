#!/usr/bin/python3
"""`sysrewrite restore`, `verify` and `inspect` as their user meets them.
Usage: proof_command_test.py SYSREWRITE GOLDEN-SOURCES WORK-DIRECTORY [unittest arguments]
"""

import hashlib
import json
import os
import pathlib
import stat
import struct
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True

import command_test
from command_test import CommandTest


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def trampoline_of(contents):
    return struct.unpack_from("<Q", contents, len(contents) - 24)[0]


class Restoring(CommandTest):
    def setUp(self):
        super().setUp()
        self.run_command("-q", self.input, self.output)
        self.back = self.dir / "back"

    def test_the_input_comes_back(self):
        done = self.run_command("restore", self.output, self.back)
        self.assertEqual(digest(self.back), digest(self.input))
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, r"\A.*/out -> .*/back\n  \d+ -> \d+ bytes, 3 places put back\n\Z")

    def test_in_place(self):
        self.run_command("restore", "-q", self.output, self.output)
        self.assertEqual(digest(self.output), digest(self.input))

    def test_mode_is_kept(self):
        for mode in (0o600, 0o755, 0o4711, 0o444):
            self.output.chmod(mode)
            self.run_command("restore", "-q", self.output, self.back)
            self.assertEqual(stat.S_IMODE(self.back.stat().st_mode), mode)

    def test_extended_attributes_are_kept(self):
        os.setxattr(self.output, "user.note", b"kept")
        self.run_command("restore", "-q", self.output, self.back)
        self.assertEqual(os.getxattr(self.back, "user.note"), b"kept")

    def test_dry_run_writes_nothing(self):
        before = self.listing()
        self.run_command("restore", "-n", self.output, self.back)
        self.assertEqual(self.listing(), before)

    def test_quiet_says_nothing(self):
        done = self.run_command("restore", "--quiet", self.output, self.back)
        self.assertEqual((done.stdout, done.stderr), ("", ""))

    def test_json(self):
        out = json.loads(self.run_command("restore", "--json", self.output, self.back).stdout)
        self.assertEqual(set(out), {"rewritten", "original", "dry_run", "rewritten_size",
                                    "original_size", "places"})
        self.assertEqual(out["original_size"], self.input.stat().st_size)
        self.assertEqual(out["places"], 3)

    def test_what_was_never_rewritten_is_refused(self):
        self.assertIn("there is no trailer", self.fail_command("restore", self.input, self.back))

    def test_what_was_stripped_is_refused(self):
        subprocess.run(["/usr/bin/strip", self.output], check=True)
        self.assertIn("lost its end since (strip and objcopy drop it)",
                      self.fail_command("restore", self.output, self.back))

    def test_what_was_edited_is_refused(self):
        contents = bytearray(self.output.read_bytes())
        contents[trampoline_of(contents) + 4096] ^= 1  # the first stub
        self.output.write_bytes(contents)
        self.assertIn("was edited since", self.fail_command("restore", self.output, self.back))

    def test_an_existing_file_stays_where_nothing_can_be_restored(self):
        self.back.write_text("mine")
        self.fail_command("restore", self.input, self.back)
        self.assertEqual(self.back.read_text(), "mine")

    def test_samples_in_both_formats(self):
        for sample in command_test.SAMPLES.values():
            for form in ("sysrewrite", "litebox"):
                self.run_command("-q", f"--format={form}", sample, self.output)
                self.run_command("restore", "-q", self.output, self.back)
                self.assertEqual(digest(self.back), digest(pathlib.Path(sample)))

    def test_help_teaches(self):
        text = self.run_command("restore", "--help").stdout
        for part in ("OUT", "IN", "byte for byte", "--json", "--dry-run", "--quiet", "Examples:",
                     "Exit status:"):
            self.assertIn(part, text)

    def test_usage(self):
        self.run_command("restore", expect=2)
        self.run_command("restore", self.output, expect=2)


class Verifying(CommandTest):
    def setUp(self):
        super().setUp()
        self.run_command("-q", self.input, self.output)

    def damage(self):
        """The first stub's first byte, with the checksum as it was."""
        contents = bytearray(self.output.read_bytes())
        contents[trampoline_of(contents) + 4096] ^= 1
        self.output.write_bytes(contents)

    def test_an_output_is_proven(self):
        done = self.run_command("verify", self.output, "--against", self.input)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr.splitlines()[0],
                         f"{self.output}: proven against {self.input}")
        self.assertIn("1 sites: 1 covered (A), 0 by springboard (B)", done.stderr)

    def test_quiet_says_nothing(self):
        done = self.run_command("verify", "-q", self.output)
        self.assertEqual((done.stdout, done.stderr), ("", ""))

    def test_reasons_name_address_found_and_expected(self):
        self.damage()
        lines = self.run_command("verify", self.output, expect=1).stderr.splitlines()
        self.assertEqual(len(lines), 2)
        self.assertRegex(lines[0], r"\Asysrewrite: .*/out: file offset 0x[0-9a-f]+: the checksum: "
                                   r"found 0x[0-9a-f]+, expected 0x[0-9a-f]+\Z")
        self.assertRegex(lines[1], r"\Asysrewrite: .*/out: address 0x[0-9a-f]+: the copy of the "
                                   r"instruction at 0x401000: found `.*` \(b9 27 00 00 00\), expected "
                                   r"`mov \$0x27, %eax`\Z")

    def test_json(self):
        out = json.loads(self.run_command("verify", "--json", self.output).stdout)
        self.assertEqual(set(out), {"rewritten", "proven", "input_size", "stub_bytes", "tiers",
                                    "candidates", "finding_count", "findings"})
        self.assertIs(out["proven"], True)
        self.assertEqual(out["tiers"], {"A": 1, "B": 0, "C": 0, "D": 0, "native": 0})
        self.damage()
        out = json.loads(self.run_command("verify", "--json", self.output, expect=1).stdout)
        self.assertIs(out["proven"], False)
        self.assertEqual([set(finding) for finding in out["findings"]],
                         [{"offset", "what", "found", "expected"},
                          {"address", "what", "found", "expected"}])

    def test_another_original_is_no_proof(self):
        other = self.dir / "other"
        command_test.assemble("branch_to_syscall", other)
        text = self.run_command("verify", self.output, "--against", other, expect=1).stderr
        self.assertIn("expected", text)

    def test_what_was_stripped_is_named(self):
        subprocess.run(["/usr/bin/objcopy", self.output], check=True)
        self.assertIn("has lost its end since (strip and objcopy drop it)",
                      self.run_command("verify", self.output, expect=1).stderr)

    def test_missing_files_are_named(self):
        missing = self.dir / "missing"
        self.assertIn("missing: ", self.fail_command("verify", missing))
        self.assertIn("missing: ", self.fail_command("verify", self.output, "--against", missing))

    def test_help_teaches(self):
        text = self.run_command("verify", "--help").stdout
        for part in ("OUT", "--against IN", "--json", "--quiet", "Examples:", "Exit status:"):
            self.assertIn(part, text)


if __name__ == "__main__":
    command_test.SYSREWRITE = pathlib.Path(sys.argv[1]).resolve()
    command_test.GOLDEN = pathlib.Path(sys.argv[2]).resolve()
    command_test.WORK = pathlib.Path(sys.argv[3]).resolve()
    command_test.WORK.mkdir(parents=True, exist_ok=True)
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
