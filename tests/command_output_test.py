#!/usr/bin/python3
"""What `sysrewrite IN OUT` leaves in the directory: bytes, modes, owners and attributes, and nothing else.
Usage: command_output_test.py SYSREWRITE GOLDEN-SOURCES WORK-DIRECTORY [unittest arguments]
"""

import errno
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True

import command_case
from command_case import CommandTest, GETTING, LISTING, NOBODY, SAMPLES, refuse_calls


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
        done = self.run_command("-q", "--json", "--no-interp", self.input, target / "out", user=NOBODY, group=NOBODY,
                                extra_groups=[])
        self.assertIn("setuid and setgid bits are not another owner's: they are dropped", done.stderr)
        self.assertEqual(json.loads(done.stdout)["lost"], {"owner": True, "set_id": True, "attributes": False})
        status = (target / "out").stat()
        self.assertEqual(status.st_uid, NOBODY)
        self.assertEqual(stat.S_IMODE(status.st_mode), 0o755)

    def test_extended_attributes_are_kept(self):
        os.setxattr(self.input, "user.note", b"value \0 with a NUL")
        os.setxattr(self.input, "user.empty", b"")
        self.run_command(self.input, self.output)
        self.assertEqual(os.getxattr(self.output, "user.note"), b"value \0 with a NUL")
        self.assertEqual(os.getxattr(self.output, "user.empty"), b"")

    def test_extended_attributes_that_cannot_be_read_are_not_lost_without_a_word(self):
        self.need_root()
        os.setxattr(self.input, "user.note", b"x")
        for calls in (LISTING, GETTING):
            for error, words in ((errno.EIO, "lost extended attributes"), (errno.EACCES, "lost extended attributes"),
                                 (errno.ENOTSUP, ""), (errno.ENODATA, "")):
                done = self.run_command("-q", self.input, self.output, preexec_fn=lambda: refuse_calls(calls, error))
                self.assertEqual(done.stderr.count("\n"), 1 if words else 0)
                self.assertIn(words, done.stderr)
                self.assertEqual(os.listxattr(self.output), [])
        os.setxattr(self.input, "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0))
        self.assertIn("cannot keep the file capabilities",
                      self.fail_command("--no-interp", self.input, self.output,
                                        preexec_fn=lambda: refuse_calls(GETTING, errno.EIO)))

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
        writers = [subprocess.Popen([command_case.SYSREWRITE, "-q", self.input, self.output])
                   for _ in range(16)]
        self.assertEqual([w.wait() for w in writers], [0] * 16)
        self.assertEqual(self.output.read_bytes(), (self.dir / "wanted").read_bytes())
        self.assertEqual(sorted(p.name for p in self.dir.iterdir()), ["in", "out", "wanted"])


if __name__ == "__main__":
    command_case.settle(*sys.argv[1:4])
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
