#!/usr/bin/python3
"""`sysrewrite IN OUT` where something is in its way: input that lies, output that cannot be written,
an interpreter that others can replace, no /proc.
Usage: command_failures_test.py SYSREWRITE GOLDEN-SOURCES WORK-DIRECTORY [unittest arguments]
"""

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
import unittest

sys.dont_write_bytecode = True

import command_case
from command_case import CommandTest, NOBODY, SAMPLES


class Failing(CommandTest):
    def test_standard_output_that_takes_nothing(self):
        self.run_command(self.input, self.output)
        for words in (["inspect", self.output], ["inspect", "--json", self.output], ["verify", "--json", self.output],
                      ["restore", "--json", "--dry-run", self.output, self.dir / "old"], ["--help"],
                      ["--json", "--dry-run", self.input, self.output], ["cache", "list", "--json"]):
            full = subprocess.run(["sh", "-c", '"$@" >/dev/full', "-", command_case.SYSREWRITE, *map(str, words)],
                                  capture_output=True, text=True, timeout=120, check=False)
            self.assertEqual((full.returncode, full.stderr.splitlines()[-1:]),
                             (1, ["sysrewrite: cannot write standard output: No space left on device"]), words)
            closed = subprocess.run(["sh", "-c", '"$@" >&-', "-", command_case.SYSREWRITE, *map(str, words)],
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

        def small_files_by_default():
            small_files()
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)

        message = self.fail_command("/bin/busybox", self.output, preexec_fn=small_files_by_default)
        self.assertIn("cannot write", message)

    def test_an_error_keeps_an_existing_output(self):
        self.output.write_bytes(b"old")
        self.input.write_bytes(b"\x7fELF")
        self.fail_command(self.input, self.output)
        self.assertEqual(self.output.read_bytes(), b"old")

    def test_in_place_an_error_keeps_the_input(self):
        self.input.write_bytes(self.input.read_bytes() + b"payload")
        self.fail_command(self.input, self.input)


class BadInput(CommandTest):
    """Every lie ends in status 1 with one line, or in an output; never in a crash."""

    EHDR = [(4, 1), (5, 1), (6, 1), (16, 2), (18, 2), (20, 4), (24, 8), (32, 8), (40, 8), (48, 4),
            (52, 2), (54, 2), (56, 2), (58, 2), (60, 2), (62, 2)]
    PHDR = [(0, 4), (4, 4), (8, 8), (16, 8), (24, 8), (32, 8), (40, 8), (48, 8)]

    def survive(self, contents, what):
        self.input.write_bytes(contents)
        done = subprocess.run([command_case.SYSREWRITE, "-q", self.input, self.output], capture_output=True,
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


class WithoutProc(CommandTest):
    """As in the chroot of a package's build."""

    def without(self, *args):
        # Of the process alone, and no more: LeakSanitizer wants the rest.
        subprocess.run(["unshare", "-m", "sh", "-c", 'mount -t tmpfs tmpfs /proc/$$/fd && exec "$@"', "-",
                        command_case.SYSREWRITE, *args], check=True, timeout=120, capture_output=True)

    def test_files_are_written(self):
        self.need_root()
        back = self.dir / "back"
        self.without("-q", self.input, self.output)
        self.without("restore", self.output, back)
        self.assertEqual(back.read_bytes(), self.input.read_bytes())
        self.run_command("verify", self.output)
        self.assertEqual(sorted(path.name for path in self.dir.iterdir()), ["back", "in", "out"])


if __name__ == "__main__":
    command_case.settle(*sys.argv[1:4])
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
