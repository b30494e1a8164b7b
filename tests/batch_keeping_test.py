#!/usr/bin/python3
"""What `sysrewrite batch` does not rewrite is as it was: names, modes, owners, times, attributes, links and holes.
Usage: batch_keeping_test.py SYSREWRITE SYSLOAD GOLDEN-SOURCES WORK-DIRECTORY [unittest arguments]
"""

import errno
import os
import resource
import shutil
import socket
import stat
import struct
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True

import batch_case
import corpus
from batch_case import BatchTest, RULES, attributes, describe
from command_case import GETTING, LISTING, NOBODY, refuse_calls

LIBC = "/lib/x86_64-linux-gnu/libc.so.6"


def accessed(root, names):
    """Of all but links, which cannot be read without a trace. Asks for no directory's contents."""
    root = os.fsencode(root)
    return {name: os.lstat(root + name).st_atime_ns
            for name in names if not os.path.islink(root + name)}


class Keeping(BatchTest):
    """What is not rewritten is as it was."""

    def make_everything(self):
        self.need_root()
        tree = self.tree
        self.program("bin/program")
        self.program("bin/setgid-folder/other", RULES[1], 0o640)
        os.link(tree / "bin/program", tree / "again")
        os.link(tree / "bin/program", tree / "bin/third")
        shutil.copy(LIBC, tree / "libc.so.6")
        (tree / "libc.so.6").chmod(0o644)
        (tree / "text").write_text("words\n")
        os.link(tree / "text", tree / "bin/text")
        (tree / "setuid").write_text("#!/bin/sh\n")
        os.chown(tree / "setuid", 1234, 4321)
        (tree / "setuid").chmod(0o6751)
        (tree / "empty").mkdir()
        (tree / "empty").chmod(0o1777)
        (tree / "bin/setgid-folder").chmod(0o2750)
        os.chown(tree / "bin/setgid-folder", 77, 78)
        for name in (b"new\nline", b"\xff\xfe no utf-8", b"-rf", b" ", b"a\\b", b"..."):
            with open(os.fsencode(tree) + b"/" + name, "wb") as file:
                file.write(name)
        os.symlink("/nowhere", tree / "dangling")
        os.symlink("..", tree / "bin/up")
        os.symlink("text", tree / "link")
        os.link(tree / "link", tree / "link-again", follow_symlinks=False)
        os.lchown(tree / "link", 5, 6)
        os.mkfifo(tree / "fifo", 0o620)
        os.mknod(tree / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        os.mknod(tree / "disk", 0o600 | stat.S_IFBLK, os.makedev(7, 200))
        os.chown(tree / "null", 0, 5)
        with socket.socket(socket.AF_UNIX) as server:
            here = os.getcwd()
            os.chdir(tree)
            server.bind("socket")
            os.chdir(here)
        os.setxattr(tree / "text", "user.note", b"kept")
        os.setxattr(tree / "bin/setgid-folder", "trusted.folder", b"kept, too")
        os.setxattr(tree / "link", "trusted.link", b"of a link", follow_symlinks=False)
        os.setxattr(tree / "bin/program", "user.note", b"of a program")
        closed = tree / "closed"
        closed.mkdir()
        (closed / "inside").write_text("x")
        for number, (folder, folders, files) in enumerate(os.walk(os.fsencode(tree), topdown=False)):
            for name in folders + files:
                when = 1_000_000_000_123_456_789 + hash((number, name)) % 10**17
                os.utime(os.path.join(folder, name), ns=(when + 17, when), follow_symlinks=False)
        closed.chmod(0o111)
        os.utime(tree, ns=(1_111_111_111_000_000_001, 1_222_222_222_000_000_002))

    def test_everything_is_kept(self):
        self.make_everything()
        before = describe(self.tree)
        for number, name in enumerate(before):  # which describing has changed
            path = os.fsencode(self.tree) + name
            os.utime(path, ns=(1_000_000_000_000_000_003 + number, os.lstat(path).st_mtime_ns),
                     follow_symlinks=False)
        access = accessed(self.tree, before)
        report = self.report()
        self.assertEqual(accessed(self.tree, before), access, "reading the tree has left traces")
        self.assertEqual(accessed(self.out, before), access)
        after = describe(self.out)
        changed = {os.fsencode("/" + name) for file in report["files"]
                   for name in [file["path"], *file["links"]] if file["status"] == "rewritten"}
        self.assertEqual(changed, {b"/again", b"/bin/program", b"/bin/third", b"/libc.so.6",
                                   b"/bin/setgid-folder/other"})
        self.assertEqual(after.keys(), before.keys())
        for name, then in before.items():
            now = after[name]
            if name in changed:
                self.assertNotEqual(now["contents"], then["contents"], name)
                now["contents"], now["size"] = then["contents"], then["size"]
            self.assertEqual(now, then, name)
        self.assertEqual(describe(self.tree), before, "the original was touched")
        self.assertEqual(sorted(path.name for path in self.dir.iterdir()), ["out", "tree"])

    def test_every_rewritten_file_is_proven_and_restored(self):
        self.make_everything()
        report = self.report()
        found = {os.path.relpath(path, self.tree) for path in corpus.elf_files([self.tree])}
        names = {name for file in report["files"] for name in [file["path"], *file["links"]]}
        self.assertLessEqual(found, names, "found by another walk")
        for file in report["files"]:
            self.assertEqual(file["status"], "rewritten")
            self.run_command("verify", "-q", self.out / file["path"], "--against",
                             self.tree / file["path"])
            self.run_command("restore", "-q", self.out / file["path"], self.dir / "back")
            self.assertEqual((self.dir / "back").read_bytes(),
                             (self.tree / file["path"]).read_bytes())
            # As one file would be.
            self.run_command("-q", self.tree / file["path"], self.dir / "one")
            self.assertEqual((self.dir / "one").read_bytes(), (self.out / file["path"]).read_bytes())

    def test_bytes_and_report_do_not_depend_on_threads(self):
        self.make_everything()
        for number in range(40):
            self.program(f"many/{number % 7}/program{number}", RULES[number % 2])
        reports, trees = [], []
        for jobs in (1, 2, 8):
            reports.append(self.report(f"--jobs={jobs}"))
            trees.append(describe(self.out))
            subprocess.run(["rm", "-rf", self.out], check=True)
        self.assertEqual(reports[0], reports[1])
        self.assertEqual(reports[0], reports[2])
        self.assertEqual(trees[0], trees[1])
        self.assertEqual(trees[0], trees[2])
        paths = [file["path"] for file in reports[0]["files"]]
        self.assertEqual(paths, sorted(paths))

    def test_attributes_that_vouch_for_bytes_go_with_them(self):
        self.need_root()
        program = self.program("program")
        text = self.tree / "text"
        text.write_text("words")
        for path in (program, text):
            try:
                os.setxattr(path, "security.ima", b"\x01" + bytes(20))
            except OSError as error:
                self.skipTest(f"this kernel keeps no security.ima: {error}")
            os.setxattr(path, "security.other", b"kept")
        self.batch()
        self.assertEqual(attributes(self.out / "program"), {"security.other": b"kept"})
        self.assertEqual(attributes(self.out / "text"), attributes(text))

    def test_attributes_that_cannot_be_read_are_not_lost_without_a_word(self):
        self.need_root()
        program = self.program("program")
        os.setxattr(program, "user.note", b"x")
        os.setxattr(program, "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0))
        os.symlink("x", self.tree / "link")
        os.setxattr(self.tree / "link", "trusted.link", b"x", follow_symlinks=False)
        all_of = {"attributes": True, "capabilities": True, "owner": False}
        unknown = {**all_of, "capabilities": False}
        for calls, lost in ((GETTING, {"link": unknown, "program": all_of}),
                            (LISTING, {".": unknown, "link": unknown, "program": unknown})):
            report = self.report("--no-interp", preexec_fn=lambda: refuse_calls(calls, errno.EIO))
            self.assertEqual({item.pop("path"): item for item in report["lost"]}, lost)
            subprocess.run(["rm", "-rf", self.out], check=True)
            done = self.batch("--no-interp", preexec_fn=lambda: refuse_calls(calls, errno.EIO))
            self.assertIn(f"{len(lost)} entries have lost extended attributes", done.stderr)
            subprocess.run(["rm", "-rf", self.out], check=True)
            for error in (errno.ENOTSUP, errno.ENODATA):
                report = self.report("--no-interp", preexec_fn=lambda: refuse_calls(calls, error))
                self.assertEqual(report["lost"], [])
                subprocess.run(["rm", "-rf", self.out], check=True)

    def test_holes_stay_holes(self):
        with open(self.tree / "sparse", "wb") as file:
            file.truncate(64 << 20)
            file.seek(16 << 20)
            file.write(b"data" * 3000)
            file.seek(-4096, os.SEEK_END)
            file.write(b"end")
        with open(self.tree / "hole", "wb") as file:
            file.truncate(8 << 20)
        program = self.program("program")
        with open(program, "r+b") as file:  # a hole between code and section headers
            contents = file.read()
            headers = struct.unpack_from("<Q", contents, 40)[0]
            far = (headers + (8 << 20)) & ~7
            file.seek(40)
            file.write(struct.pack("<Q", far))
            file.seek(far)
            file.write(contents[headers:])
        self.batch("--force")
        for name in ("sparse", "hole", "program"):
            then, now = os.stat(self.tree / name), os.stat(self.out / name)
            self.assertLessEqual(now.st_blocks, then.st_blocks + 64, name)
        for name in ("sparse", "hole"):
            self.assertEqual((self.tree / name).read_bytes(), (self.out / name).read_bytes())
        self.run_command("verify", "-q", self.out / "program", "--against", program)

    def test_an_empty_tree(self):
        self.tree.chmod(0o750)
        self.batch()
        self.assertEqual(describe(self.out), describe(self.tree))

    def test_a_program_with_capabilities_and_setuid_ones(self):
        """Rewritten only where none but root can replace the interpreter in the tree."""
        self.need_root()
        self.program("setuid", mode=0o4755)
        capable = self.program("capable")
        os.setxattr(capable, "security.capability",
                    struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0))
        plain = self.program("plain")
        report = {file["path"]: file for file in self.report("--interp=/lib/none/sysload")["files"]}
        self.assertEqual(report["plain"]["status"], "rewritten")
        for name in ("setuid", "capable"):
            self.assertEqual(report[name]["status"], "refused")
            self.assertIn("could be replaced by others than root", report[name]["reason"])
            self.assertEqual((self.out / name).read_bytes(), plain.read_bytes())
        subprocess.run(["rm", "-rf", self.out], check=True)

        options = ("--install-sysload", "--loader", batch_case.SYSLOAD)
        report = self.report(*options)
        self.assertEqual({file["status"] for file in report["files"]}, {"rewritten"})
        self.assertEqual(stat.S_IMODE(os.stat(self.out / "setuid").st_mode), 0o4755)
        self.assertEqual(attributes(self.out / "capable"), attributes(capable))
        subprocess.run(["rm", "-rf", self.out], check=True)

        (self.tree / "usr").mkdir(mode=0o755)
        (self.tree / "usr").chmod(0o777)
        report = {file["path"]: file["status"] for file in self.report(*options)["files"]}
        self.assertEqual(report, {"setuid": "refused", "capable": "refused", "plain": "rewritten"})
        subprocess.run(["rm", "-rf", self.out], check=True)
        (self.tree / "usr").chmod(0o755)
        os.chown(self.tree, NOBODY, NOBODY)
        report = {file["path"]: file["status"] for file in self.report(*options)["files"]}
        self.assertEqual(report, {"setuid": "refused", "capable": "refused", "plain": "rewritten"})

    def test_as_an_ordinary_user(self):
        """Owners, setuid and capabilities are lost, and that is said; a device is an error."""
        self.need_root()
        self.dir.chmod(0o777)
        self.program("program")
        (self.tree / "setuid").write_text("x")
        (self.tree / "setuid").chmod(0o4755)
        (self.tree / "closed").mkdir()
        (self.tree / "closed/file").write_text("x")
        (self.tree / "closed").chmod(0o555)
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        done = self.batch(**user)
        self.assertIn("5 entries have another owner", done.stderr)
        self.assertEqual(stat.S_IMODE(os.stat(self.out / "setuid").st_mode), 0o755)
        self.assertEqual(stat.S_IMODE(os.stat(self.out / "closed").st_mode), 0o555)
        self.assertEqual(os.stat(self.out / "program").st_uid, NOBODY)
        subprocess.run(["rm", "-rf", self.out], check=True)
        os.mknod(self.tree / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        done = self.batch(**user, expect=1)
        self.assertRegex(done.stderr, r"cannot make the device \(which only root may\) .*/null: "
                                      r"Operation not permitted\n\Z")
        self.assert_nothing_left()
        (self.tree / "null").unlink()
        (self.tree / "secret").write_text("x")
        (self.tree / "secret").chmod(0o600)
        self.assertIn("secret: Permission denied", self.batch(**user, expect=1).stderr)
        self.assert_nothing_left()

    def test_a_folder_that_hands_down_group_and_acl(self):
        self.need_root()
        os.chown(self.dir, 0, 99)
        self.dir.chmod(0o2755)
        entry = struct.Struct("<HHI")
        acl = struct.pack("<I", 2) + b"".join(
            entry.pack(tag, rights, who) for tag, rights, who in
            ((1, 7, 0xffffffff), (2, 7, 1234), (4, 5, 0xffffffff), (16, 7, 0xffffffff),
             (32, 5, 0xffffffff)))
        self.program("bin/program")
        (self.tree / "text").write_text("x")
        os.setxattr(self.dir, "system.posix_acl_default", acl)
        before = describe(self.tree)
        self.batch("--no-interp")
        after = describe(self.out)
        for name in (b"", b"/bin", b"/text"):
            self.assertEqual(after[name], before[name])
        self.assertEqual(after[b"/bin/program"]["attributes"], {})


class Large(BatchTest):
    def test_ten_thousand_entries_in_a_directory(self):
        for number in range(10_000):
            (self.tree / f"{number:x}").write_bytes(b"%d" % number)
        self.batch("--jobs=4")
        self.assertEqual(describe(self.out), describe(self.tree))

    def test_two_thousand_directories_deep(self):
        """With paths of half a megabyte, a file in each, and few descriptors."""
        depth, name = 2000, "d" * 250
        at = os.open(self.tree, os.O_RDONLY)
        for level in range(depth):
            with open(os.open("file", os.O_CREAT | os.O_WRONLY, 0o640, dir_fd=at), "w") as file:
                file.write(str(level))
            os.mkdir(name, dir_fd=at)
            below = os.open(name, os.O_RDONLY, dir_fd=at)
            os.close(at)
            at = below
        os.close(at)
        begun = time.monotonic()
        self.batch("--jobs=2", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE,
                                                                      (100, 100)))
        self.assertLess(time.monotonic() - begun, 60)
        at = os.open(self.out, os.O_RDONLY)
        for level in range(depth):
            with open(os.open("file", os.O_RDONLY, dir_fd=at)) as file:
                self.assertEqual(file.read(), str(level))
            below = os.open(name, os.O_RDONLY, dir_fd=at)
            os.close(at)
            at = below
        self.assertEqual(os.listdir(at), [])
        os.close(at)
        # And removed again where it fails in the end.
        subprocess.run(["rm", "-rf", self.out], check=True)
        with open(self.tree / "object.o", "wb") as file:
            file.write(b"\x7fELF")
        self.batch("--strict", "-q", expect=1)
        self.assert_nothing_left()


if __name__ == "__main__":
    batch_case.settle(*sys.argv[1:5])
    unittest.main(argv=[sys.argv[0], *sys.argv[5:]])
