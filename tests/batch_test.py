#!/usr/bin/python3
"""`sysrewrite batch DIR -o OUT` as its user meets it: what becomes of a tree, and what is left when
it fails. Usage: batch_test.py SYSREWRITE SYSLOAD GOLDEN-SOURCES WORK-DIRECTORY [unittest arguments]
"""

import glob
import hashlib
import json
import os
import pathlib
import pty
import random
import re
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True

import command_case
import corpus
from command_case import CommandTest, GCC, NOBODY, assemble

SYSLOAD = None
RULES = ("covers_previous_instruction", "springboard_behind_the_function")
LIBC = "/lib/x86_64-linux-gnu/libc.so.6"


def attributes(path):
    return {name: os.getxattr(path, name, follow_symlinks=False)
            for name in sorted(os.listxattr(path, follow_symlinks=False))}


def describe(root, times=True):
    """Everything that a copy has to keep, by path; hard links as the first path of their inode."""
    root = os.fsencode(root)
    paths = [root]
    for folder, folders, files in os.walk(root):
        paths += [os.path.join(folder, name) for name in folders + files]
    found, first = {}, {}
    for path in sorted(paths):
        status = os.lstat(path)
        name = path[len(root):]
        regular = stat.S_ISREG(status.st_mode)
        same = None
        if not stat.S_ISDIR(status.st_mode):
            same = first.setdefault((status.st_dev, status.st_ino), name)
        found[name] = {
            "mode": status.st_mode, "owner": (status.st_uid, status.st_gid), "links": same,
            "modified": status.st_mtime_ns if times else None,
            "device": status.st_rdev, "attributes": attributes(path),
            "target": os.readlink(path) if stat.S_ISLNK(status.st_mode) else None,
            "size": status.st_size if regular else None,
            "contents": hashlib.sha256(open(path, "rb").read()).hexdigest() if regular else None}
    return found


def accessed(root, names):
    """Of all but links, which cannot be read without a trace. Asks for no directory's contents."""
    root = os.fsencode(root)
    return {name: os.lstat(root + name).st_atime_ns
            for name in names if not os.path.islink(root + name)}


class BatchTest(CommandTest):
    def setUp(self):
        super().setUp()
        # Trees that shutil cannot remove: deep ones, and those of others.
        self.addCleanup(subprocess.run, ["rm", "-rf", self.dir], check=False)
        os.remove(self.input)
        self.tree, self.out = self.dir / "tree", self.dir / "out"
        self.tree.mkdir(mode=0o755)

    def batch(self, *options, expect=0, **more):
        return self.run_command("batch", self.tree, "-o", self.out, *options, expect=expect, **more)

    def report(self, *options, expect=0):
        return json.loads(self.batch("--json", *options, expect=expect).stdout)

    def assert_nothing_left(self):
        self.assertEqual([path.name for path in self.dir.iterdir()], ["tree"])

    def program(self, path, rule=RULES[0], mode=0o755):
        path = self.tree / path
        path.parent.mkdir(parents=True, exist_ok=True)
        assemble(rule, path)
        path.chmod(mode)
        return path


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

        options = ("--install-sysload", "--loader", SYSLOAD)
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


class Choosing(BatchTest):
    """What is rewritten, what is kept, and what is said about it."""

    def test_kinds_of_files(self):
        good = self.program("good")
        contents = bytearray(good.read_bytes())
        (self.tree / "text").write_text("no program")
        (self.tree / "short").write_bytes(b"\x7fELF")
        (self.tree / "empty").write_bytes(b"")
        source = self.dir / "unit.c"
        source.write_text("int main(void) { return 0; }\n")
        subprocess.run([GCC, "-g", "-c", source, "-o", self.tree / "object.o"], check=True)
        subprocess.run([GCC, "-g", source, "-o", self.dir / "full"], check=True)
        subprocess.run(["objcopy", "--only-keep-debug", self.dir / "full", self.tree / "full.debug"],
                       check=True)
        source.unlink()
        (self.dir / "full").unlink()
        (self.tree / "payload").write_bytes(contents + b"PAYLOAD" * 100)
        contents[4] = 1
        (self.tree / "32-bit").write_bytes(contents)
        self.run_command("-q", good, self.tree / "before")
        shutil.copy(SYSLOAD, self.tree / "sysload")
        report = self.report()
        files = {file["path"]: file for file in report["files"]}
        self.assertEqual({path: file["status"] for path, file in files.items()},
                         {"good": "rewritten", "short": "refused", "object.o": "refused",
                          "full.debug": "exempt", "payload": "refused", "32-bit": "refused",
                          "before": "already_rewritten", "sysload": "exempt"})
        for path, words in (("short", "header"), ("object.o", "relocatable"), ("32-bit", "32"),
                            ("payload", "--force"), ("full.debug", "debugging information only"),
                            ("sysload", "sysload itself")):
            self.assertIn(words, files[path]["reason"])
        for path in files.keys() - {"good"}:
            self.assertEqual((self.out / path).read_bytes(), (self.tree / path).read_bytes(), path)
        for word, count in (("rewritten", 1), ("refused", 4), ("exempt", 2),
                            ("already_rewritten", 1), ("elf_files", 8), ("entries", 11)):
            self.assertEqual(report[word], count, word)
        self.assertEqual(files["good"]["tiers"], report["tiers"])

        text = self.batch("-n").stderr
        self.assertRegex(text, r"\n  rewritten +1 +\d+ +\d+\n")
        self.assertRegex(text, r"\n  refused, kept +4 ")
        self.assertRegex(text, r"\n  kept +1, as object\.o: ")
        self.assertNotIn("\033", text)

        subprocess.run(["rm", "-rf", self.out], check=True)
        done = self.batch("--strict", expect=1)
        self.assertRegex(done.stderr, r"tree/object\.o: .*\n(.*\n)*.*4 files cannot be rewritten")
        self.assert_nothing_left()
        self.batch("-q", "--force")
        self.assertNotEqual((self.out / "payload").read_bytes(),
                            (self.tree / "payload").read_bytes())

    def test_options_of_a_rewrite(self):
        program = self.program("program")
        # (options, those of one file)
        for number, options in enumerate((["--interp=/tmp/x"], ["--no-interp"], ["--tiers=D"],
                                          ["--format=litebox"], ["--stub=plain"],
                                          ["--hook=count:output=/x"], ["--vdso=hide"])):
            self.out = self.dir / f"out{number}"
            self.batch("-q", *options)
            self.run_command("-q", *options, program, self.dir / "one")
            self.assertEqual((self.out / "program").read_bytes(), (self.dir / "one").read_bytes())
        self.out = self.dir / "native"
        done = self.batch("--tiers=A", "--exclude=0x0-0xffffffff", expect=3)
        self.assertRegex(done.stderr, r"\n  program: 1 sites left native")
        # Of many files, not each has what is named.
        self.assertEqual(self.report("--only=no_such_function", "-n", expect=3)["rewritten"], 1)
        self.assertEqual(self.report("--exclude=0x1", "-n")["rewritten"], 1)
        self.out = self.dir / "fails"
        done = self.batch("--tiers=D", "--on-unpatchable=fail", expect=1)
        self.assertRegex(done.stderr, r"program: no jump fits at 0x")
        self.assertFalse(self.out.exists())

    def test_a_dry_run_writes_nothing(self):
        self.program("program")
        before = self.listing()
        report = self.report("-n")
        self.assertEqual(report["rewritten"], 1)
        self.assertEqual(self.listing(), before)

    def test_names_are_harmless_on_a_terminal_and_whole_in_json(self):
        os.makedirs(os.fsencode(self.tree) + b"/x\n\x1b[31m")
        name = b"x\n\x1b[31m/\xff"
        with open(os.fsencode(self.tree) + b"/" + name, "wb") as file:
            file.write(b"\x7fELF damaged")
        done = self.batch("--json")
        self.assertEqual(bytes.fromhex(json.loads(done.stdout)["files"][0]["path_hex"]), name)
        subprocess.run(["rm", "-rf", self.out], check=True)
        self.assertIn(r"as x\n\x1b[31m/\xff: ", self.batch().stderr)

    def test_a_bar_on_a_terminal_only(self):
        for number in range(3000):
            (self.tree / str(number)).write_bytes(b"")
        leader, follower = pty.openpty()
        with subprocess.Popen([command_case.SYSREWRITE, "batch", self.tree, "-o", self.out],
                              stdout=subprocess.DEVNULL, stderr=follower) as process:
            os.close(follower)
            text = b""
            while True:
                try:
                    part = os.read(leader, 65536)
                except OSError:
                    break
                if not part:
                    break
                text += part
            os.close(leader)
        self.assertEqual(process.returncode, 0)
        self.assertIn(b"\r\x1b[K", text)
        subprocess.run(["rm", "-rf", self.out], check=True)
        done = self.batch()
        self.assertNotIn("\r", done.stderr)

    def test_help_names_all_that_there_is(self):
        text = self.run_command("batch", "--help").stdout
        for part in ("DIR", "--output OUT", "--jobs N", "--one-file-system", "--install-sysload",
                     "--strict", "--interp PATH", "--tiers ABCD", "--hook HOOK", "--json",
                     "--dry-run", "Exit status:"):
            self.assertIn(part, text)
        self.assertLessEqual(max(map(len, text.splitlines())), 110)
        for args in ([], [self.tree], [self.tree, "-o"], [self.tree, "-o", self.out, "--jobs=0"],
                     [self.tree, "-o", self.out, "--jobs=x"]):
            self.run_command("batch", *args, expect=2)
        self.assert_nothing_left()


class Places(BatchTest):
    def refuse(self, source, out, words):
        before = self.listing()
        done = self.run_command("batch", source, "-o", out, expect=1)
        self.assertRegex(done.stderr, r"\Asysrewrite: [^\n]*" + words + r"[^\n]*\n\Z")
        self.assertEqual(self.listing(), before)

    def test_out_is_new_or_an_empty_directory(self):
        self.program("sub/program")
        (self.dir / "full").mkdir()
        (self.dir / "full/x").write_text("x")
        (self.dir / "file").write_text("x")
        (self.dir / "empty").mkdir()
        os.symlink("empty", self.dir / "link")
        tree = self.tree
        self.refuse(tree, self.dir / "full", "is not empty")
        self.refuse(tree, self.dir / "file", "is no directory")
        self.refuse(tree, self.dir / "link", "is no directory")
        self.refuse(tree, tree, "is DIR itself")
        self.refuse(tree, tree / "new", "inside DIR")
        self.refuse(tree, tree / "sub/new", "inside DIR")
        self.refuse(tree / "sub", tree, "DIR lies inside")
        self.refuse(tree, self.dir / "none/new", "No such file")
        self.refuse(tree, self.dir / "empty/..", "names none")
        self.refuse(tree, "/", "names none")
        self.refuse(self.dir / "none", self.out, "No such file")
        self.refuse(self.dir / "file", self.out, "Not a directory")
        os.symlink(tree / "sub", self.dir / "way")
        self.refuse(tree, self.dir / "way/new", "inside DIR")
        self.refuse(tree, "/proc/self/new", "cannot make a directory beside")
        self.run_command("batch", tree, "-o", f"{self.dir}/empty//")
        self.assertTrue((self.dir / "empty/sub/program").exists())
        # A beginning of a name is no directory.
        self.run_command("batch", tree, "-o", f"{tree}-more")
        self.assertTrue((self.dir / "tree-more/sub/program").exists())

    def test_mount_points(self):
        self.need_root()
        (self.tree / "here").write_text("x")
        (self.tree / "mounted").mkdir()
        script = """
            set -e
            mount -t tmpfs -o mode=751 none "$2/mounted"
            echo y > "$2/mounted/there"
            "$1" batch -q "$2" -o "$3/all"
            "$1" batch -q -x "$2" -o "$3/one"
            mkdir "$3/point" && mount -t tmpfs none "$3/point"
            ! "$1" batch -q "$2" -o "$3/point" 2> "$3/words"
            umount "$3/point" && rmdir "$3/point"
        """
        subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", command_case.SYSREWRITE,
                        self.tree, self.dir], check=True, timeout=120)
        self.assertEqual((self.dir / "all/mounted/there").read_text(), "y\n")
        self.assertEqual(list((self.dir / "one/mounted").iterdir()), [])
        self.assertEqual(stat.S_IMODE((self.dir / "one/mounted").stat().st_mode), 0o751)
        self.assertIn("is a mount point", (self.dir / "words").read_text())

    def test_the_tree_that_is_made_is_no_part_of_itself(self):
        """Seen again through a bind mount of the folder that it is made in."""
        self.need_root()
        (self.tree / "again").mkdir()
        script = 'mount --bind "$3" "$2/again" && "$1" batch -q "$2" -o "$3/out"'
        subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", command_case.SYSREWRITE,
                        self.tree, self.dir], check=True, timeout=120)
        self.assertEqual([path.name for path in (self.out / "again").iterdir()], ["tree"])


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


class Hostile(BatchTest):
    def test_damaged_files(self):
        source = random.Random(7)
        originals = [self.program("good", rule).read_bytes() for rule in RULES]
        with open("/bin/true", "rb") as file:
            originals.append(file.read())
        for number in range(150):
            contents = bytearray(source.choice(originals))
            for _ in range(source.randint(1, 6)):
                at = source.randrange(4, min(len(contents), source.choice((64, 1000, 10**9))))
                contents[at] = source.choice((0, 1, 0x7f, 0xff, source.randrange(256)))
            if source.random() < 0.3:
                del contents[source.randrange(4, len(contents)):]
            (self.tree / str(number)).write_bytes(contents)
        done = self.run_command("batch", "--json", self.tree, "-o", self.out,
                                expect=self.expected_of_damaged())
        files = json.loads(done.stdout)["files"]
        self.assertEqual(len(files), 151)
        rewritten = 0
        for file in files:
            if file["status"] == "rewritten":
                rewritten += 1
                self.run_command("restore", "-q", self.out / file["path"], self.dir / "back")
                self.assertEqual((self.dir / "back").read_bytes(),
                                 (self.tree / file["path"]).read_bytes())
            else:
                self.assertTrue(file["reason"])
                self.assertEqual((self.out / file["path"]).read_bytes(),
                                 (self.tree / file["path"]).read_bytes())
        self.assertGreater(rewritten, 10)
        self.assertLess(rewritten, 145)

    def expected_of_damaged(self):
        """Whether sites are left native is decided file by file; one by one says the same."""
        statuses = set()
        for path in self.tree.iterdir():
            done = subprocess.run([command_case.SYSREWRITE, "-q", "-n", path, "x"],
                                  capture_output=True, timeout=120, check=False)
            statuses.add(done.returncode)
        self.assertLessEqual(statuses, {0, 1, 3})
        return 3 if 3 in statuses else 0

    def test_a_link_swapped_in_for_a_directory(self):
        outside = self.dir / "outside"
        outside.mkdir()
        (outside / "file").write_text("secret")
        inside = self.tree / "swapped"
        for number in range(200):
            (self.tree / f"padding{number}").mkdir()
        inside.mkdir()
        (inside / "file").write_text("public")
        os.symlink(outside, self.dir / "link")
        stop = threading.Event()

        def swap():
            while not stop.is_set():
                os.rename(inside, self.dir / "aside")
                os.rename(self.dir / "link", inside)
                os.rename(inside, self.dir / "link")
                os.rename(self.dir / "aside", inside)

        thread = threading.Thread(target=swap)
        thread.start()
        outcomes = set()
        try:
            for _ in range(30):
                done = subprocess.run([command_case.SYSREWRITE, "batch", "-q", self.tree, "-o",
                                       self.out], capture_output=True, text=True, timeout=60,
                                      check=False)
                outcomes.add(done.returncode)
                self.assertIn(done.returncode, (0, 1), done.stderr)
                if done.returncode == 0:
                    copy = self.out / "swapped"
                    if copy.is_dir() and not copy.is_symlink():
                        self.assertEqual((copy / "file").read_text(), "public")
                    shutil.rmtree(self.out)
                self.assertFalse(self.out.exists())
                self.assertEqual(glob.glob(f"{self.out}.*"), [])
        finally:
            stop.set()
            thread.join()


class Ending(BatchTest):
    def start_and_wait_for_the_middle(self, files=4_000):
        for number in range(files):
            (self.tree / str(number)).write_bytes(b"")
        self.before = os.stat(self.tree).st_mtime_ns
        process = subprocess.Popen([command_case.SYSREWRITE, "batch", self.tree, "-o", self.out],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        begun = time.monotonic()
        while time.monotonic() - begun < 60:
            made = glob.glob(f"{self.out}.sysrewrite-*")
            if made and len(os.listdir(made[0])) > 50:
                return process, pathlib.Path(made[0])
        self.fail("never came so far")

    def test_told_to_end_it_leaves_nothing(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process, _ = self.start_and_wait_for_the_middle()
            process.send_signal(number)
            self.assertEqual(process.wait(60), -number)
            process.stderr.close()
            self.assert_nothing_left()
            self.assertEqual(os.stat(self.tree).st_mtime_ns, self.before)

    def test_killed_it_leaves_no_tree_of_that_name(self):
        process, made = self.start_and_wait_for_the_middle()
        self.assertEqual(stat.S_IMODE(made.stat().st_mode), 0o700)
        child = self.child_of(process)
        process.kill()
        self.assertEqual(process.wait(60), -signal.SIGKILL)
        process.stderr.close()
        begun = time.monotonic()
        while os.path.exists(f"/proc/{child}/exe") and time.monotonic() - begun < 30:
            time.sleep(0.01)
        self.assertFalse(os.path.exists(f"/proc/{child}/exe"), "the child lives on")
        self.assertFalse(self.out.exists())

    def child_of(self, process):
        return int(pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())

    def test_a_crash_leaves_nothing(self):
        process, _ = self.start_and_wait_for_the_middle()
        os.kill(self.child_of(process), signal.SIGKILL)
        self.assertEqual(process.wait(60), 1)
        self.assertRegex(process.stderr.read(), r"ended by a signal \(Killed\)")
        process.stderr.close()
        self.assert_nothing_left()

    def test_a_signal_that_is_ignored_stays_so(self):
        (self.tree / "x").write_text("x")
        done = subprocess.run(["sh", "-c", 'trap "" INT; kill -INT $$; exec "$0" batch "$1" -o "$2"',
                               command_case.SYSREWRITE, self.tree, self.out], timeout=60,
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, 0)

    def test_a_full_disk_leaves_nothing(self):
        self.need_root()
        for number in range(8):
            self.program(f"program{number}")
        (self.tree / "large").write_bytes(random.Random(1).randbytes(3 << 20))
        script = """
            mount -t tmpfs -o size=2m none "$3" || exit 9
            "$1" batch "$2" -o "$3/out"; status=$?
            [ -z "$(ls -A "$3")" ] || { ls -lA "$3"; exit 8; }
            exit $status
        """
        (self.dir / "disk").mkdir()
        done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", command_case.SYSREWRITE,
                               self.tree, self.dir / "disk"], capture_output=True, text=True,
                              timeout=120, check=False)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stderr, r"\Asysrewrite: .*: No space left on device\n\Z")


class Installing(BatchTest):
    """--install-sysload, as far as files go; tests/run enters such a tree."""

    def install(self, *options, expect=0):
        return self.batch("--install-sysload", "--loader", SYSLOAD, "--json", *options,
                          expect=expect)

    def test_it_goes_where_programs_look(self):
        for path in ("usr/lib/x86_64-linux-gnu", "usr/lib64"):
            (self.tree / path).mkdir(parents=True)
        os.symlink("usr/lib64", self.tree / "lib64")
        os.symlink("usr/lib", self.tree / "lib")
        ld_so = "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
        shutil.copy(ld_so, self.tree / ld_so[1:])
        name = self.tree / "usr/lib64/ld-linux-x86-64.so.2"
        os.symlink("/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", name)
        os.utime(self.tree / "usr/lib64", ns=(1, 1_000_000_000_000_000_002))
        report = json.loads(self.install().stdout)
        self.assertEqual(report["sysload"], ["/usr/lib/sysload", "/lib64/ld-linux-x86-64.so.2"])
        sysload = pathlib.Path(SYSLOAD).read_bytes()
        there = self.out / "usr/lib64/ld-linux-x86-64.so.2"
        for path in (self.out / "usr/lib/sysload", there):
            self.assertFalse(path.is_symlink())
            # All but where its section headers are.
            self.assertEqual(path.read_bytes()[64:len(sysload)], sysload[64:])
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o755)
        self.assertEqual(os.readlink(f"{there}.rewritten"), os.readlink(name))
        self.run_command("verify", "-q", self.out / ld_so[1:])
        self.assertEqual(os.stat(self.out / "usr/lib64").st_mtime_ns, 1_000_000_000_000_000_002)
        # Once more: nothing changes but by name.
        again = self.dir / "again"
        self.run_command("batch", "--install-sysload", "--loader", SYSLOAD, self.out, "-o", again)
        self.assertEqual(describe(again), describe(self.out))

    def test_linkers_find_what_ld_so_has(self):
        """glibc's libc.so is a script that names ld.so; a musl system links with nothing else."""
        names = {"/lib64/ld-linux-x86-64.so.2": "ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1": None}
        for name in names:
            (self.tree / name[1:]).parent.mkdir()
            shutil.copy(os.path.realpath(name), self.tree / name[1:])
        self.install()
        (self.dir / "tls.c").write_text("extern __thread int x; __thread int x; int f(void) { return x; }\n")
        (self.dir / "calls.c").write_text("int puts(const char*); void _start(void) { puts(\"x\"); }\n")

        def linked(source, linker, ld_so):
            output, there = self.dir / "linked.so", self.dir / "ld.so"
            shutil.copy(ld_so, there)  # the name is kept in the output
            kind = ["-shared", "-fPIC"] if source == "tls.c" else ["-no-pie"]
            subprocess.run([GCC, *kind, f"-fuse-ld={linker}", "-nostdlib", "-Wl,-z,defs", self.dir / source,
                            "-o", output, there], check=True, timeout=60)
            return subprocess.run(["readelf", "-WdV", "--dyn-syms", output], check=True, text=True,
                                  capture_output=True, timeout=60).stdout

        for name, soname in names.items():
            source = "tls.c" if soname else "calls.c"
            for linker in ("bfd", "gold", "lld"):
                native = linked(source, linker, self.tree / name[1:])
                self.assertIn(f"Shared library: [{soname or self.dir / 'ld.so'}]", native)
                self.assertIn("__tls_get_addr@GLIBC_2.3" if soname else "UND puts", native)
                self.assertEqual(linked(source, linker, self.out / name[1:]), native)

    def test_what_linkers_cannot_read_leaves_sysload_as_it_is(self):
        name = self.tree / "lib64/ld-linux-x86-64.so.2"
        name.parent.mkdir()
        original = pathlib.Path("/lib64/ld-linux-x86-64.so.2").read_bytes()
        headers, = struct.unpack_from("<Q", original, 40)
        symbols = next(at for at in range(headers, len(original), 64)
                       if struct.unpack_from("<I", original, at + 4)[0] == 11)
        # Of no known type; from another file's end on; without names.
        for field, value in ((4, b"\1"), (24 + 5, b"\1"), (40, b"\xff")):
            damaged = bytearray(original)
            damaged[symbols + field:symbols + field + len(value)] = value
            name.write_bytes(damaged)
            self.install()
            self.assertEqual((self.out / "lib64/ld-linux-x86-64.so.2").read_bytes(),
                             pathlib.Path(SYSLOAD).read_bytes(), field)
            shutil.rmtree(self.out)

    def test_links_in_the_tree_do_not_lead_out_of_it(self):
        outside = self.dir / "outside"
        outside.mkdir()
        os.symlink(outside, self.tree / "usr")
        self.install(expect=1)
        self.assertEqual(list(outside.iterdir()), [])
        (self.tree / "usr").unlink()
        (self.tree / "real").mkdir()
        os.symlink("/../../real", self.tree / "usr")
        self.install()
        self.assertTrue((self.out / "real/lib/sysload").exists())

    def test_what_it_would_replace_is_not_lost(self):
        (self.tree / "usr/lib").mkdir(parents=True)
        (self.tree / "usr/lib/sysload").write_text("mine")
        self.assertIn("is not sysload", self.install(expect=1).stderr)
        self.assertFalse(self.out.exists())
        for options, words in ((["--no-interp"], "absolute path"), (["--interp=x"], "absolute path"),
                               (["--loader", "/bin/true"], "is not sysload")):
            self.assertIn(words, self.batch("--install-sysload", *options, expect=1).stderr)
        self.assertFalse(self.out.exists())

    def test_without_it_the_report_says_what_is_missing(self):
        shutil.copy("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", self.tree / "ld.so")
        text = self.batch().stderr
        self.assertRegex(text, r"\n  ld\.so is a rewritten ld\.so: ")
        self.assertIn("start by /usr/lib/sysload: sysload belongs there", text)
        self.assertIn("--install-sysload does this", text)


if __name__ == "__main__":
    SYSLOAD = str(pathlib.Path(sys.argv[2]).resolve())
    command_case.settle(sys.argv[1], *sys.argv[3:5])
    unittest.main(argv=[sys.argv[0], *sys.argv[5:]])
