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

import command_case
from command_case import CommandTest


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
        for sample in command_case.SAMPLES.values():
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
        self.assertEqual(set(out), {"rewritten", "proven", "changed_since", "input_size", "stub_bytes", "tiers",
                                    "unvouched", "candidates", "finding_count", "findings"})
        self.assertIs(out["proven"], True)
        self.assertEqual(out["tiers"], {"A": 1, "B": 0, "C": 0, "D": 0, "native": 0})
        self.damage()
        out = json.loads(self.run_command("verify", "--json", self.output, expect=1).stdout)
        self.assertIs(out["proven"], False)
        self.assertEqual([set(finding) for finding in out["findings"]],
                         [{"offset", "what", "found", "expected"},
                          {"address", "what", "found", "expected"}])

    def test_what_uncertain_has_patched_is_named(self):
        source, data = self.dir / "data.s", self.dir / "data"
        source.write_text(".globl _start\n_start: .fill 300, 1, 6\n.byte 15, 5\n.fill 300, 1, 6\n")
        subprocess.run([command_case.GCC, "-nostdlib", "-static", source, "-o", data], check=True)
        self.run_command("--uncertain=patch", data, self.output)
        self.assertIn("  1 of the sites may be data (--uncertain patches such)",
                      self.run_command("verify", self.output).stderr)
        self.assertEqual(json.loads(self.run_command("verify", "--json", self.output).stdout)["unvouched"], 1)
        self.run_command(self.input, self.output)
        self.assertNotIn("may be data", self.run_command("verify", self.output).stderr)

    def test_another_original_is_no_proof(self):
        other = self.dir / "other"
        command_case.assemble("branch_to_syscall", other)
        text = self.run_command("verify", self.output, "--against", other, expect=1).stderr
        self.assertIn("expected", text)

    def test_what_was_stripped_is_named(self):
        subprocess.run(["/usr/bin/objcopy", self.output], check=True)
        self.assertIn("has lost its end since (strip and objcopy drop it)",
                      self.run_command("verify", self.output, expect=1).stderr)

    # A program of one's own with an interpreter of that name, or a jump to what it maps next to itself.
    def test_what_looks_stripped_and_was_never_rewritten_needs_force(self):
        source = "_start: mov $60, %eax; xor %edi, %edi; syscall; jmp _start + 0x{:x}"
        for name, link, distance in (("named", ["-dynamic-linker", "/opt/own/sysload", "-pie"], 0),
                                     ("jumping", [], 0x1010)):
            with self.subTest(name):
                program, unit = self.dir / name, self.dir / f"{name}.o"
                assembly = ".globl _start\n" + source.format(distance).replace("; ", "\n") + "\n"
                subprocess.run(["as", "-o", unit, "-"], input=assembly, text=True, check=True)
                subprocess.run(["ld", *link, "-o", program, unit], check=True)
                refusal = self.fail_command(program, self.output)
                self.assertIn("or, where nobody rewrote it, --force", refusal)
                self.run_command("-q", "--force", program, self.output)
                self.assertIn("proven", self.run_command("verify", self.output, "--against", program).stderr)
                self.assertIn("1 site", self.run_command("inspect", self.output).stdout)
                self.run_command("restore", "-q", self.output, self.dir / "back")
                self.assertEqual(digest(self.dir / "back"), digest(program))

    def test_missing_files_are_named(self):
        missing = self.dir / "missing"
        self.assertIn("missing: ", self.fail_command("verify", missing))
        self.assertIn("missing: ", self.fail_command("verify", self.output, "--against", missing))

    def test_help_teaches(self):
        text = self.run_command("verify", "--help").stdout
        for part in ("OUT", "--against IN", "--json", "--quiet", "Examples:", "Exit status:"):
            self.assertIn(part, text)


class Stripped(CommandTest):
    """Rewritten, and then without its trampoline: not a file without sites."""

    def refused(self, *options, source=None):
        source = source or self.input
        done = subprocess.run([command_case.SYSREWRITE, "-q", *options, source, self.output], check=False)
        self.assertIn(done.returncode, (0, 3))  # 3: some sites were left native
        subprocess.run(["/usr/bin/strip", self.output], check=True, capture_output=True)
        again = self.dir / "again"
        for words in ([self.output, again], ["-n", self.output, again], ["inspect", self.output]):
            text = self.fail_command(*words)
            self.assertIn("strip and objcopy", text)
        return text

    def test_static(self):
        self.refused("--no-interp")
        self.refused()

    def test_dynamic(self):
        source = self.dir / "source.c"
        source.write_text("long call(long n) { long r; __asm__ volatile(\"mov $39, %%eax; syscall\" : \"=a\"(r) "
                          ": : \"rcx\", \"r11\"); return r + n; }\nint main(void) { return call(0) < 0; }\n")
        program = self.dir / "program"
        subprocess.run([command_case.GCC, "-O1", source, "-o", program], check=True)
        # One path fits where the old one stood, the other does not.
        for options in (["--no-interp"], ["--interp", "/l"], ["--interp", "/a/path/of/twenty-eight/char"]):
            self.refused(*options, source=program)

    def test_jumps_of_every_form(self):
        """Golden programs of one site: what stands before poison, beyond the call, in padding."""
        for rule, text in (("covers_previous_instruction", "the jump at 0x401000 leads out"),
                           ("window_behind", "the jump at "),
                           ("springboard_before_the_function", "the jump at "),
                           ("springboard_behind_the_function", "the jump at "),
                           ("springboard_inside_the_function", "the jump at ")):
            with self.subTest(rule):
                source = self.dir / rule
                command_case.assemble(rule, source)
                self.assertIn(text, self.refused("--no-interp", source=source))

    def test_poison_alone(self):
        self.assertIn("the bytes f1 f4 at 0x401005 stand for a system call, and trap",
                      self.refused("--no-interp", "--tiers=D"))

    def test_libraries_of_one_tier(self):
        """All other calls of theirs are still there, and would be patched beside the dead ones."""
        for library in (command_case.SAMPLES["musl"], "/lib/x86_64-linux-gnu/libc.so.6",
                        "/lib64/ld-linux-x86-64.so.2"):
            for tier, rest in zip("ABCD", ("keep", "keep", "keep", "trap")):
                with self.subTest(f"{library} {tier}"):
                    self.refused(f"--tiers={tier}", f"--on-unpatchable={rest}", source=library)

    def test_one_dead_call_among_many(self):
        for symbol in ("getppid", "ioctl", "dup3", "utimensat"):
            with self.subTest(symbol):
                self.refused("--only", symbol, source=command_case.SAMPLES["musl"])

    def test_a_program_without_a_site_tells_by_its_interpreter(self):
        self.assertIn("its interpreter is /usr/lib/sysload", self.refused(source="/bin/true"))
        self.assertIn("its interpreter is /opt/sysload",
                      self.refused("--interp=/opt/sysload", source="/bin/true"))

    def test_a_tail_call_of_a_weak_function_that_is_not_there_is_no_trace(self):
        """It jumps to address 0, which lies a little below a program at 64 KiB."""
        source = self.dir / "weak.c"
        source.write_text("extern void hook(void) __attribute__((weak));\nvoid call_hook(void) { if (hook) hook(); }\n"
                          "int main(void) { call_hook(); return 0; }\n")
        program = self.dir / "weak"
        subprocess.run([command_case.GCC, "-O2", "-static", "-no-pie", "-Wl,-Ttext-segment=0x10000", source, "-o", program],
                       check=True)
        self.run_command("-q", program, self.output)
        self.run_command("inspect", program)

    def test_large_programs_without_sites_are_what_they_are(self):
        # Their code has some such bytes by chance.
        for path in ("/usr/bin/git", "/usr/lib/gcc/x86_64-linux-gnu/12/cc1", "/usr/bin/node",
                     "/usr/lib/x86_64-linux-gnu/libLLVM-14.so.1"):
            self.run_command("-n", "-q", path, self.output)


class Inspecting(CommandTest):
    SITE = 0x401005

    def inspect(self, *args, **more):
        return self.run_command("inspect", *args, **more).stdout

    def test_an_input_shows_what_a_rewrite_would_make(self):
        text = self.inspect(self.input)
        self.assertIn("not rewritten; a rewrite would make", text)
        self.assertIn("  1 sites: 1 A, 0 B, 0 C, 0 D, 0 native", text)
        self.assertRegex(text, r"0x401005  A +0x401000\+7 +0x3ff000 +-  function +_start\+0x5 +the instr")

    def test_columns_line_up(self):
        self.run_command("-q", command_case.SAMPLES["musl"], self.output)
        lines = self.inspect(self.output).splitlines()
        start = next(i for i, line in enumerate(lines) if "SITE" in line)
        title, rows = lines[start], lines[start + 1:lines.index("", start)]
        self.assertGreater(len(rows), 300)
        for name in ("TIER", "SYMBOL", "REASON"):
            column = title.index(name)
            for row in rows:
                self.assertEqual(row[column - 1], " ", row)
                self.assertNotEqual(row[column], " ", row)

    def test_output_and_input_tell_the_same_sites_and_pairs(self):
        for sample in command_case.SAMPLES.values():
            self.run_command("-q", sample, self.output)
            before = json.loads(self.inspect("--json", sample))
            after = json.loads(self.inspect("--json", self.output))
            self.assertFalse(before["rewritten"])
            self.assertTrue(after["rewritten"])
            for key in ("sites", "pairs", "tiers", "candidates", "trampoline", "kind"):
                self.assertEqual(before[key], after[key], (sample, key))

    def test_every_pair_has_class_and_evidence(self):
        out = json.loads(self.inspect("--json", command_case.SAMPLES["musl"]))
        self.assertEqual(len(out["pairs"]), out["candidates"]["total"])
        self.assertEqual(len(out["pairs"]), 500)
        for pair in out["pairs"]:
            self.assertEqual(set(pair), {"address", "pair", "class", "evidence", "instruction", "symbol"})
            self.assertTrue(pair["evidence"])
        sites = {site["address"] for site in out["sites"]}
        self.assertEqual(sites, {pair["address"] for pair in out["pairs"]
                                 if pair["class"] == "instruction"})
        named = [site for site in out["sites"] if site["symbol"]]
        self.assertGreater(len(named), 300)

    def test_json_has_the_code_before_and_after(self):
        self.run_command("-q", self.input, self.output)
        for path in (self.input, self.output):
            [site] = json.loads(self.inspect("--json", "-d", path))["sites"]
            code = site["code"]
            self.assertEqual([line["bytes"] for line in code["before"]], ["b827000000", "0f05"])
            self.assertEqual([line["text"] for line in code["before"]], ["mov $0x27, %eax", "syscall"])
            self.assertEqual([line["bytes"][:2] for line in code["after"]], ["e9", "f1", "f4"])
            self.assertEqual(code["stub"][0]["text"], "mov $0x27, %eax")
            self.assertEqual(code["stub"][-1]["text"], "jmp 0x401007")
            self.assertEqual(code["springboard"], [])

    def test_the_code_side_by_side(self):
        self.run_command("-q", self.input, self.output)
        lines = self.inspect("-d", self.output).splitlines()
        at = lines.index("0x401005 <_start+0x5> tier A: the instruction before the syscall is 5 "
                         "bytes or longer and falls through")
        self.assertRegex(lines[at + 1], r"\A  401000:  b8 27 00 00 00  mov \$0x27, %eax    "
                                        r"401000:  e9 fb df ff ff  jmp 0x3ff000\Z")
        self.assertEqual(lines[at + 4], "  stub")

    def test_one_site_by_address_and_by_function(self):
        musl = command_case.SAMPLES["musl"]
        out = json.loads(self.inspect("--json", musl))
        site = next(site for site in out["sites"] if site["symbol"].startswith("fork+")
                    or site["symbol"].startswith("getpid+"))
        function = site["symbol"].split("+")[0]
        for name in (hex(site["address"]), site["symbol"]):
            [only] = json.loads(self.inspect("--json", "--site", name, musl))["sites"]
            self.assertEqual(only, site)
        of_function = json.loads(self.inspect("--json", "--site", function, musl))
        self.assertIn(site, of_function["sites"])
        self.assertEqual(of_function["tiers"], out["tiers"])
        self.assertIn("no system call is at 'nowhere'",
                      self.run_command("inspect", "--site", "nowhere", musl, expect=1).stderr)

    def test_summary_of_many(self):
        self.run_command("-q", self.input, self.output)
        text = self.run_command("inspect", "--summary", self.input, self.output, __file__,
                                expect=1).stdout
        rows = [line.split() for line in text.splitlines()]
        self.assertEqual(rows[0], "STATE A B C D NATIVE PAIRS INSIDE DATA UNCERTAIN FILE".split())
        self.assertEqual([row[:2] for row in rows[1:4]],
                         [["input", "1"], ["rewritten", "1"], ["total", "2"]])
        self.assertIn("not an ELF file", text)
        out = json.loads(self.inspect("--summary", "--json", self.input, self.output))
        self.assertEqual(out["total"]["tiers"], {"A": 2, "B": 0, "C": 0, "D": 0, "native": 0})
        self.assertEqual([file["rewritten"] for file in out["files"]], [False, True])

    def test_several_files_are_an_array(self):
        self.run_command("-q", self.input, self.output)
        out = json.loads(self.inspect("--json", self.input, self.output))
        self.assertEqual([file["file"] for file in out], [str(self.input), str(self.output)])

    def test_what_the_user_chose_is_shown(self):
        self.run_command("-q", "--interp=/opt/sysload", "--hook=count", "--stub=plain", self.input,
                         self.output)
        text = self.inspect(self.output)
        for part in ("plain stubs with native tails", "started by /opt/sysload", "option hook=count"):
            self.assertIn(part, text)

    def test_an_edited_output_is_refused(self):
        self.run_command("-q", self.input, self.output)
        contents = bytearray(self.output.read_bytes())
        contents[trampoline_of(contents) + 4096] ^= 1
        self.output.write_bytes(contents)
        self.assertIn("was edited since", self.fail_command("inspect", self.output))

    def test_help_teaches(self):
        text = self.run_command("inspect", "--help").stdout
        for part in ("FILE", "--disassemble", "--site SITE", "--summary", "--json", "Examples:",
                     "Exit status:"):
            self.assertIn(part, text)


class Selecting(CommandTest):
    def tiers(self, *args, expect):
        done = self.run_command("-n", "--json", *args, command_case.SAMPLES["musl"], self.output,
                                expect=expect)
        return json.loads(done.stdout)["tiers"]

    def test_only_and_exclude_add_up_to_everything(self):
        whole = self.tiers(expect=0)
        part = self.tiers("--only=0x20000-0x30000", expect=3)
        rest = self.tiers("--exclude=0x20000-0x30000", expect=3)
        self.assertGreater(part["A"], 10)
        # The others' choice of a tier does not depend on who else is patched, but for shared padding.
        self.assertEqual(part["A"] + rest["A"], whole["A"])
        self.assertEqual(part["native"] + rest["native"], 499)

    def test_outputs_with_excluded_sites_are_proven_and_restored(self):
        musl = command_case.SAMPLES["musl"]
        self.run_command("-q", "--exclude", "getpid", "--exclude", "0x20000-0x30000", musl,
                         self.output, expect=3)
        self.run_command("verify", "-q", self.output, "--against", musl)
        self.run_command("restore", "-q", self.output, self.output)
        self.assertEqual(digest(self.output), digest(pathlib.Path(musl)))

    def test_tiers_are_those_asked_for(self):
        tiers = self.tiers("--tiers=AB", expect=3)
        self.assertEqual((tiers["C"], tiers["D"]), (0, 0))
        self.assertGreater(tiers["native"], 0)

    def test_what_is_no_site_is_named(self):
        self.assertIn("there is no function 'nowhere'",
                      self.fail_command("--only=nowhere", self.input, self.output))
        for text in ("0x", "0x2-0x1", "0x1-x", ""):
            self.run_command(f"--exclude={text}", self.input, self.output, expect=2)


if __name__ == "__main__":
    command_case.SYSREWRITE = pathlib.Path(sys.argv[1]).resolve()
    command_case.GOLDEN = pathlib.Path(sys.argv[2]).resolve()
    command_case.WORK = pathlib.Path(sys.argv[3]).resolve()
    command_case.WORK.mkdir(parents=True, exist_ok=True)
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
