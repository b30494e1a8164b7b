#!/usr/bin/python3
"""`sysrewrite IN OUT` as its user meets it: what it prints, its exit status, and what it leaves in
the directory. Usage: command_test.py SYSREWRITE GOLDEN-SOURCES WORK-DIRECTORY [unittest arguments]
"""

import json
import os
import pathlib
import random
import resource
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import unittest

SYSREWRITE = GOLDEN = WORK = None
GCC = "/usr/bin/gcc"
SAMPLES = {"busybox": "/bin/busybox", "musl": "/usr/lib/x86_64-linux-musl/libc.so",
           "pie": "/sbin/ldconfig"}
NOBODY = 65534


def assemble(rule, output):
    """The input of a golden rule, a small program of known tiers."""
    subprocess.run([GCC, "-nostdlib", "-static", "-Wl,--build-id=none", "-I", GOLDEN,
                    GOLDEN / f"{rule}.in.S", "-o", output], check=True)


class CommandTest(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(dir=WORK))
        self.dir.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.input = self.dir / "in"
        self.output = self.dir / "out"
        assemble("covers_previous_instruction", self.input)

    def run_command(self, *args, expect=0, **more):
        # Nothing here takes a second: what hangs fails.
        done = subprocess.run([SYSREWRITE, *map(str, args)], capture_output=True, text=True,
                              timeout=120, **more)
        self.assertEqual(done.returncode, expect, f"{args}: {done.stdout}{done.stderr}")
        return done

    def fail_command(self, *args, expect=1, **more):
        """A failure: one line on stderr, and the directory as it was."""
        before = self.listing()
        done = self.run_command(*args, expect=expect, **more)
        self.assertRegex(done.stderr, r"\Asysrewrite: .+\n\Z")
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertEqual(self.listing(), before)
        return done.stderr

    def listing(self):
        found = {}
        for path in sorted(self.dir.rglob("*")):
            status = path.lstat()
            contents = path.read_bytes() if stat.S_ISREG(status.st_mode) else None
            found[str(path)] = (status.st_mode, status.st_ino, contents)
        return found

    def need_root(self):
        self.assertEqual(os.geteuid(), 0, "this test must run as root")


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
                     [self.input, self.output, "--interp"]):
            before = self.listing()
            done = self.run_command(*args, expect=2)
            self.assertEqual(done.stdout, "", args)
            self.assertRegex(done.stderr, r"\Asysrewrite: ", args)
            self.assertIn("--help", done.stderr, args)
            self.assertEqual(self.listing(), before)

    def test_report_goes_to_stderr_and_quiet_silences_it(self):
        done = self.run_command(self.input, self.output)
        self.assertEqual(done.stdout, "")
        for part in (f"{self.input} -> {self.output}", "1 sites of 1 `0f 05` pairs", "tier A",
                     "started by /usr/lib/sysload"):
            self.assertIn(part, done.stderr)
        done = self.run_command("--quiet", self.input, self.output)
        self.assertEqual(done.stdout + done.stderr, "")

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
        done = subprocess.run([SYSREWRITE, "--json", odd, self.output], capture_output=True)
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
            done = subprocess.run([SYSREWRITE, *words], capture_output=True)
            said = done.stdout + done.stderr
            self.assertIn(rb"\x1b]0;title\x07", said, words)
            self.assertFalse(set(said) & (set(range(32)) - {10} | {127}), (words, said))

    def test_dry_run_decides_everything_and_writes_nothing(self):
        before = self.listing()
        dry = json.loads(self.run_command("--dry-run", "--json", self.input, self.output).stdout)
        self.assertEqual(self.listing(), before)
        wet = json.loads(self.run_command("--json", self.input, self.output).stdout)
        self.assertIs(dry.pop("dry_run"), True)
        wet.pop("dry_run")
        self.assertEqual(dry, wet)


class Writing(CommandTest):
    def test_input_is_not_touched(self):
        before = self.input.read_bytes(), self.input.stat().st_mtime_ns
        self.run_command(self.input, self.output)
        self.assertEqual((self.input.read_bytes(), self.input.stat().st_mtime_ns), before)

    def test_nothing_but_the_output_appears(self):
        self.run_command(self.input, self.output)
        self.assertEqual(sorted(p.name for p in self.dir.iterdir()), ["in", "out"])

    def test_output_may_be_the_input(self):
        self.run_command(self.input, self.output)
        self.run_command(self.input, self.input)
        self.assertEqual(self.input.read_bytes(), self.output.read_bytes())
        self.assertEqual(sorted(p.name for p in self.dir.iterdir()), ["in", "out"])

    def test_output_may_be_the_input_by_another_name(self):
        self.run_command(self.input, self.output)
        os.chdir(self.dir)
        self.addCleanup(os.chdir, "/")
        self.run_command("in", f"../{self.dir.name}/in")
        self.assertEqual(self.input.read_bytes(), self.output.read_bytes())

    def test_existing_output_is_replaced_not_overwritten(self):
        self.output.write_bytes(b"old")
        os.link(self.output, self.dir / "link")
        with self.output.open("rb") as reader:
            self.run_command(self.input, self.output)
            self.assertEqual(reader.read(), b"old")
        self.assertEqual((self.dir / "link").read_bytes(), b"old")
        self.assertTrue(self.output.read_bytes().startswith(b"\x7fELF"))

    def test_running_output_is_replaced(self):
        shutil.copy("/bin/sleep", self.output)
        sleeper = subprocess.Popen([self.output, "60"])
        self.addCleanup(sleeper.wait)
        self.addCleanup(sleeper.kill)
        self.run_command(self.input, self.output)  # no ETXTBSY

    def test_symlink_at_the_output_is_replaced_and_its_target_kept(self):
        target = self.dir / "target"
        target.write_bytes(b"old")
        self.output.symlink_to(target)
        self.run_command(self.input, self.output)
        self.assertFalse(self.output.is_symlink())
        self.assertEqual(target.read_bytes(), b"old")

    def test_symlink_at_the_input_is_followed(self):
        link = self.dir / "link"
        link.symlink_to(self.input)
        self.run_command(link, self.output)
        self.assertTrue(self.output.read_bytes().endswith(struct.pack("<Q", 0x2000)))

    def test_output_in_the_current_directory(self):
        os.chdir(self.dir)
        self.addCleanup(os.chdir, "/")
        self.run_command("in", "out")
        self.assertTrue(self.output.exists())

    def test_mode_is_kept(self):
        for mode in (0o755, 0o700, 0o644, 0o444, 0o600):
            self.input.chmod(mode)
            self.run_command(self.input, self.output)
            self.assertEqual(stat.S_IMODE(self.output.stat().st_mode), mode)

    def test_mode_does_not_depend_on_the_umask(self):
        self.input.chmod(0o777)
        self.run_command(self.input, self.output, umask=0o077)
        self.assertEqual(stat.S_IMODE(self.output.stat().st_mode), 0o777)

    def test_owner_and_setuid_are_kept(self):
        self.need_root()
        os.chown(self.input, 1234, 4321)
        for mode in (0o4755, 0o2755, 0o6711):
            self.input.chmod(mode)  # behind chown, which clears it
            self.run_command("--no-interp", self.input, self.output)
            status = self.output.stat()
            self.assertEqual((status.st_uid, status.st_gid), (1234, 4321))
            self.assertEqual(stat.S_IMODE(status.st_mode), mode)

    def test_setuid_of_somebody_else_is_dropped_where_the_owner_cannot_be_kept(self):
        self.need_root()
        self.input.chmod(0o4755)
        target = self.dir / "theirs"
        target.mkdir()
        os.chown(target, NOBODY, NOBODY)
        self.run_command("--no-interp", self.input, target / "out", user=NOBODY, group=NOBODY,
                         extra_groups=[])
        status = (target / "out").stat()
        self.assertEqual(status.st_uid, NOBODY)
        self.assertEqual(stat.S_IMODE(status.st_mode), 0o755)

    def test_extended_attributes_are_kept(self):
        os.setxattr(self.input, "user.note", b"value \0 with a NUL")
        os.setxattr(self.input, "user.empty", b"")
        self.run_command(self.input, self.output)
        self.assertEqual(os.getxattr(self.output, "user.note"), b"value \0 with a NUL")
        self.assertEqual(os.getxattr(self.output, "user.empty"), b"")

    def test_a_folders_default_list_gives_nobody_rights_in_the_output(self):
        nobody = -1 & 0xffffffff
        entries = (1, 7, nobody), (2, 7, NOBODY), (4, 5, nobody), (0x10, 7, nobody), (0x20, 5, nobody)
        self.input.chmod(0o750)
        os.setxattr(self.dir, "system.posix_acl_default",
                    struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries))
        self.run_command(self.input, self.output)
        self.run_command(self.input, self.input)
        for path in (self.output, self.input):
            self.assertNotIn("system.posix_acl_access", os.listxattr(path))
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o750)

    def test_capabilities_are_kept(self):
        self.need_root()
        capability = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)  # cap_net_bind_service
        os.setxattr(self.input, "security.capability", capability)
        self.run_command("--no-interp", self.input, self.output)
        self.assertEqual(os.getxattr(self.output, "security.capability"), capability)

    def test_signatures_of_the_old_bytes_are_not_kept(self):
        self.need_root()
        names = ("security.ima", "security.evm", "security.other")
        for name in names:
            os.setxattr(self.input, name, b"\x04signature")
        self.run_command("--no-interp", self.input, self.output)
        kept = [name for name in names if name in os.listxattr(self.output)]
        self.assertEqual(kept, ["security.other"])

    def test_same_bytes_twice_from_anywhere(self):
        self.run_command(self.input, self.output)
        first = self.output.read_bytes()
        other = self.dir / "another directory" / "with another name"
        other.parent.mkdir()
        shutil.copy(self.input, other)
        os.utime(other, (1, 1))
        os.chdir(other.parent)
        self.addCleanup(os.chdir, "/")
        self.run_command("with another name", "./out")
        self.assertEqual((other.parent / "out").read_bytes(), first)

    def test_real_files_give_the_same_bytes_twice(self):
        for path in SAMPLES.values():
            self.run_command(path, self.output)
            self.run_command(path, self.dir / "again")
            self.assertEqual(self.output.read_bytes(), (self.dir / "again").read_bytes())

    def test_rewriting_again_changes_nothing_and_says_so(self):
        for path in (self.input, *SAMPLES.values()):
            self.run_command(path, self.output)
            first = self.output.read_bytes()
            done = self.run_command(self.output, self.dir / "again")
            self.assertIn("already rewritten, nothing to do", done.stderr)
            self.assertEqual((self.dir / "again").read_bytes(), first)
            self.run_command(self.output, self.output)
            self.assertEqual(self.output.read_bytes(), first)

    def test_many_writers_of_one_output_leave_one_whole_file(self):
        self.run_command(self.input, self.dir / "wanted")
        writers = [subprocess.Popen([SYSREWRITE, "-q", self.input, self.output])
                   for _ in range(16)]
        self.assertEqual([w.wait() for w in writers], [0] * 16)
        self.assertEqual(self.output.read_bytes(), (self.dir / "wanted").read_bytes())
        self.assertEqual(sorted(p.name for p in self.dir.iterdir()), ["in", "out", "wanted"])


class WithoutProc(CommandTest):
    """As in the chroot of a package's build."""

    def without(self, *args):
        # Of the process alone, and no more: LeakSanitizer wants the rest.
        subprocess.run(["unshare", "-m", "sh", "-c", 'mount -t tmpfs tmpfs /proc/$$/fd && exec "$@"', "-",
                        SYSREWRITE, *args], check=True, timeout=120, capture_output=True)

    def test_files_are_written(self):
        self.need_root()
        back = self.dir / "back"
        self.without("-q", self.input, self.output)
        self.without("restore", self.output, back)
        self.assertEqual(back.read_bytes(), self.input.read_bytes())
        self.run_command("verify", self.output)
        self.assertEqual(sorted(path.name for path in self.dir.iterdir()), ["back", "in", "out"])


class Failing(CommandTest):
    def test_standard_output_that_takes_nothing(self):
        self.run_command(self.input, self.output)
        for words in (["inspect", self.output], ["inspect", "--json", self.output], ["verify", "--json", self.output],
                      ["restore", "--json", "--dry-run", self.output, self.dir / "old"], ["--help"],
                      ["--json", "--dry-run", self.input, self.output], ["cache", "list", "--json"]):
            full = subprocess.run(["sh", "-c", '"$@" >/dev/full', "-", SYSREWRITE, *map(str, words)],
                                  capture_output=True, text=True, timeout=120, check=False)
            self.assertEqual((full.returncode, full.stderr.splitlines()[-1:]),
                             (1, ["sysrewrite: cannot write standard output: No space left on device"]), words)
            closed = subprocess.run(["sh", "-c", '"$@" >&-', "-", SYSREWRITE, *map(str, words)],
                                    capture_output=True, text=True, timeout=120, check=False)
            self.assertEqual((closed.returncode, closed.stderr.splitlines()[-1:]),
                             (1, ["sysrewrite: cannot write standard output: Bad file descriptor"]), words)

    def test_missing_input(self):
        message = self.fail_command(self.dir / "nothing", self.output)
        self.assertIn("cannot open", message)
        self.assertIn("No such file or directory", message)

    def test_directory_as_input(self):
        self.assertIn("is not a regular file", self.fail_command(self.dir, self.output))

    def test_fifo_as_input_does_not_block(self):
        fifo = self.dir / "fifo"
        os.mkfifo(fifo)
        self.assertIn("is not a regular file", self.fail_command(fifo, self.output))

    def test_device_as_input(self):
        self.assertIn("is not a regular file", self.fail_command("/dev/zero", self.output))

    def test_empty_input(self):
        self.input.write_bytes(b"")
        self.assertIn("not an ELF file", self.fail_command(self.input, self.output))

    def test_output_directory_is_missing(self):
        message = self.fail_command(self.input, self.dir / "no" / "out")
        self.assertIn("No such file or directory", message)

    def test_output_is_a_directory(self):
        self.output.mkdir()
        self.fail_command(self.input, self.output)

    def test_output_that_is_no_file_is_not_replaced(self):
        os.mkfifo(self.output)
        message = self.fail_command(self.input, self.output)
        self.assertIn("a folder or a device stands there", message)
        self.assertTrue(stat.S_ISFIFO(self.output.lstat().st_mode))
        # Nor what a link leads to.
        self.output.unlink()
        self.output.symlink_to("/dev/full")
        self.fail_command(self.input, self.output)
        self.assertTrue(self.output.is_symlink())

    def test_output_directory_is_read_only(self):
        closed = self.dir / "closed"
        closed.mkdir()
        closed.chmod(0o555)
        unprivileged = {}
        if os.geteuid() == 0:
            unprivileged = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        message = self.fail_command(self.input, closed / "out", **unprivileged)
        self.assertIn("Permission denied", message)

    def test_unreadable_input(self):
        self.input.chmod(0)
        unprivileged = {}
        if os.geteuid() == 0:
            unprivileged = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        message = self.fail_command(self.input, self.output, **unprivileged)
        self.assertIn("Permission denied", message)

    def test_a_full_disk_leaves_nothing_and_keeps_the_old_output(self):
        def small_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))

        self.output.write_bytes(b"old")
        message = self.fail_command("/bin/busybox", self.output, preexec_fn=small_files)
        self.assertIn("cannot write", message)

    def test_an_error_keeps_an_existing_output(self):
        self.output.write_bytes(b"old")
        self.input.write_bytes(b"\x7fELF")
        self.fail_command(self.input, self.output)
        self.assertEqual(self.output.read_bytes(), b"old")

    def test_in_place_an_error_keeps_the_input(self):
        self.input.write_bytes(self.input.read_bytes() + b"payload")
        self.fail_command(self.input, self.input)


class Deciding(CommandTest):
    def test_a_site_that_no_jump_fits(self):
        assemble("endbr64_before", self.input)
        done = self.run_command(self.input, self.output)
        self.assertIn("0x401004: trap: an instruction of the window cannot run elsewhere",
                      done.stderr)
        self.run_command("--on-unpatchable=trap", self.input, self.output)
        done = self.run_command("--on-unpatchable=keep", self.input, self.output, expect=3)
        self.assertIn("0x401004: native: an instruction", done.stderr)
        self.output.unlink()
        message = self.fail_command("--on-unpatchable=fail", self.input, self.output)
        self.assertIn("no jump fits at 0x401004", message)

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


class Privileged(CommandTest):
    """A setuid program must not be handed to an interpreter that others can replace."""

    def setUp(self):
        super().setUp()
        self.need_root()
        self.input.chmod(0o4755)

    def refused(self, interpreter):
        message = self.fail_command("--interp", interpreter, self.input, self.output)
        self.assertIn("could be replaced by others than root", message)

    def test_missing_interpreter_is_refused(self):
        self.refused("/usr/lib/there-is-no-such-file")

    def test_interpreter_in_a_folder_of_somebody_else_is_refused(self):
        folder = self.dir / "theirs"
        folder.mkdir()
        (folder / "sysload").write_bytes(b"")
        os.chown(folder, 1234, 0)
        self.refused(folder / "sysload")

    def test_interpreter_of_somebody_else_is_refused(self):
        other = self.dir / "sysload"
        other.write_bytes(b"")
        os.chown(other, 1234, 0)
        self.refused(other)

    def test_interpreter_that_all_may_write_is_refused(self):
        open_file = self.dir / "sysload"
        open_file.write_bytes(b"")
        open_file.chmod(0o666)
        self.refused(open_file)

    def test_interpreter_that_a_group_may_write_is_refused(self):
        group_file = self.dir / "sysload"
        group_file.write_bytes(b"")
        os.chown(group_file, 0, 1234)
        group_file.chmod(0o664)
        self.refused(group_file)

    def test_interpreter_in_a_folder_that_a_list_gives_to_somebody_is_refused(self):
        folder = self.dir / "listed"
        folder.mkdir()
        (folder / "sysload").write_bytes(b"")
        nobody = -1 & 0xffffffff
        # Source: linux, include/uapi/linux/posix_acl_xattr.h: version, then tag, rights and who.
        entries = (1, 7, nobody), (2, 7, NOBODY), (4, 5, nobody), (0x10, 7, nobody), (0x20, 5, nobody)
        os.setxattr(folder, "system.posix_acl_access",
                    struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries))
        self.assertEqual(stat.S_IMODE(folder.stat().st_mode), 0o775)  # the group's bits are the mask
        self.refused(folder / "sysload")

    def test_interpreter_behind_a_link_is_refused(self):
        (self.dir / "link").symlink_to("/usr/bin/env")
        self.refused(self.dir / "link")

    def test_roots_own_interpreter_is_taken(self):
        self.run_command("--interp", "/usr/bin/env", self.input, self.output)
        self.assertEqual(stat.S_IMODE(self.output.stat().st_mode), 0o4755)

    def test_setgid_and_capabilities_count_too(self):
        self.input.chmod(0o2755)
        self.refused("/usr/lib/there-is-no-such-file")
        self.input.chmod(0o755)
        os.setxattr(self.input, "security.capability", struct.pack("<IIIII", 0x02000001, 1, 0, 0, 0))
        self.refused("/usr/lib/there-is-no-such-file")

    def test_what_is_not_started_by_sysload_is_not_refused(self):
        self.run_command("--no-interp", self.input, self.output)
        library = self.dir / "library"
        shutil.copy("/lib/x86_64-linux-gnu/libm.so.6", library)
        library.chmod(0o4755)
        self.run_command("--interp", "/usr/lib/there-is-no-such-file", library, self.output)


class BadInput(CommandTest):
    """Every lie ends in status 1 with one line, or in an output; never in a crash."""

    EHDR = [(4, 1), (5, 1), (6, 1), (16, 2), (18, 2), (20, 4), (24, 8), (32, 8), (40, 8), (48, 4),
            (52, 2), (54, 2), (56, 2), (58, 2), (60, 2), (62, 2)]
    PHDR = [(0, 4), (4, 4), (8, 8), (16, 8), (24, 8), (32, 8), (40, 8), (48, 8)]

    def survive(self, contents, what):
        self.input.write_bytes(contents)
        done = subprocess.run([SYSREWRITE, "-q", self.input, self.output], capture_output=True,
                              text=True, timeout=120)
        self.assertIn(done.returncode, (0, 1, 3), f"{what}: {done.stderr}")
        if done.returncode == 1:
            self.assertRegex(done.stderr, r"\Asysrewrite: [^\n]+\n\Z", what)
            self.assertFalse(self.output.exists(), what)
        else:
            self.assertEqual(done.stderr, "", what)
            self.output.unlink()
        self.assertEqual([p.name for p in self.dir.iterdir()], ["in"], what)
        return done.returncode

    def lie(self, contents, at, size, generator, what):
        for value in (0, 1, (1 << 64) - 1, generator.getrandbits(64)):
            damaged = bytearray(contents)
            damaged[at:at + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
            self.survive(damaged, f"{what}: {size} bytes at {at} = {value:#x}")

    def test_header_fields(self):
        generator = random.Random(1)
        contents = self.input.read_bytes()
        phoff, = struct.unpack_from("<Q", contents, 32)
        phnum, = struct.unpack_from("<H", contents, 56)
        for at, size in self.EHDR:
            self.lie(contents, at, size, generator, "tiny")
        for i in range(phnum):
            for at, size in self.PHDR:
                self.lie(contents, phoff + 56 * i + at, size, generator, "tiny")

    def test_header_fields_of_real_files(self):
        generator = random.Random(2)
        for name, path in SAMPLES.items():
            contents = pathlib.Path(path).read_bytes()
            phoff, = struct.unpack_from("<Q", contents, 32)
            for at, size in self.EHDR[:9]:
                self.lie(contents, at, size, generator, name)
            for at, size in self.PHDR:
                self.lie(contents, phoff + 56 * 1 + at, size, generator, name)

    def test_truncations(self):
        contents = self.input.read_bytes()
        for size in (*range(0, 64 + 3 * 56 + 1, 3), *range(4000, len(contents), 501)):
            status = self.survive(contents[:size], f"{size} bytes")
            if size < 0x1000:
                self.assertEqual(status, 1, f"{size} bytes")

    def test_truncations_of_real_files(self):
        for name, path in SAMPLES.items():
            contents = pathlib.Path(path).read_bytes()
            for size in (1, 63, 64, 65, 119, 120, 4096, len(contents) // 2):
                self.assertEqual(self.survive(contents[:size], f"{name}, {size} bytes"), 1)

    def test_trailers_that_lie(self):
        self.run_command("-q", self.input, self.output)
        contents = self.output.read_bytes()
        self.output.unlink()
        end = len(contents)
        for at in (end - 24, end - 16, end - 8):
            for value in (1, (1 << 64) - 1, 1 << 40):
                damaged = contents[:at] + struct.pack("<Q", value) + contents[at + 8:]
                self.assertEqual(self.survive(damaged, f"trailer at {at - end}"), 1)
        for cut in (1, 31, 32, 100, 5000):
            # A first rewrite of what is left: the old jumps lead nowhere, but there is a program.
            self.survive(contents[:-cut], f"cut by {cut}")


def open_to_all(path):
    """Whether somebody without privilege gets there, as the tests of such a user need."""
    return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))


if __name__ == "__main__":
    SYSREWRITE = pathlib.Path(sys.argv[1]).resolve()
    GOLDEN = pathlib.Path(sys.argv[2]).resolve()
    WORK = pathlib.Path(sys.argv[3]).resolve()
    WORK.mkdir(parents=True, exist_ok=True)
    ELSEWHERE = None
    if not open_to_all(WORK):  # a checkout in a home that is closed to others, such as root's
        ELSEWHERE = tempfile.TemporaryDirectory(prefix="sysrewrite-command-")
        WORK = pathlib.Path(ELSEWHERE.name)
        WORK.chmod(0o755)
        SYSREWRITE = pathlib.Path(shutil.copy(SYSREWRITE, WORK))
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
