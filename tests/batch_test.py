#!/usr/bin/python3
"""`sysrewrite batch DIR -o OUT` as its user meets it: what becomes of a tree, and what is left when it fails.
Usage: batch_test.py SYSREWRITE SYSLOAD GOLDEN-SOURCES WORK-DIRECTORY [unittest arguments]
"""

import glob
import json
import os
import pathlib
import pty
import random
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True

import batch_case
import command_case
from batch_case import BatchTest
from command_case import GCC


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
        shutil.copy(batch_case.SYSLOAD, self.tree / "sysload")
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
        refused = self.report("--strict", expect=1)
        self.assertEqual(refused["error"], "4 files cannot be rewritten (--strict)")
        self.assertEqual(refused["files"], report["files"])
        self.assertNotIn("error", report)
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


class Reporting(BatchTest):
    def test_a_report_that_cannot_be_written_is_an_error_and_the_tree_stands(self):
        self.program("program")
        read_end, no_reader = os.pipe()
        os.close(read_end)
        for where, reason in ((">/dev/full", "No space left on device"), (">&-", "Bad file descriptor"),
                              (f">&{no_reader}", "Broken pipe")):
            done = subprocess.run(["sh", "-c", f'"$@" {where}; echo "status $?" >&2', "-", command_case.SYSREWRITE,
                                   "batch", "--json", self.tree, "-o", self.out], capture_output=True, text=True,
                                  timeout=120, pass_fds=[no_reader], check=False)
            self.assertEqual(done.stderr, f"sysrewrite: cannot write standard output: {reason}\nstatus 1\n")
            self.run_command("verify", "-q", self.out / "program")
            shutil.rmtree(self.out)
            self.assert_nothing_left()
        os.close(no_reader)
        # Nor does it matter where there is nothing to say.
        done = subprocess.run(["sh", "-c", '"$@" >/dev/full', "-", command_case.SYSREWRITE, "batch", "-q", self.tree,
                               "-o", self.out], timeout=120, check=False)
        self.assertEqual(done.returncode, 0)


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


class Limits(BatchTest):
    """Of the kernel's, as containers have them."""

    def limited(self, limits, *options, **more):
        def set_limits():
            for kind, value in limits.items():
                resource.setrlimit(kind, (value, value))
        return subprocess.run([command_case.SYSREWRITE, "batch", self.tree, "-o", self.out, *options],
                              preexec_fn=set_limits, text=True, timeout=120, check=False, **more)

    def test_where_no_thread_can_be_made(self):
        """Threads count as processes. One user's are counted, so that user has to be nobody else."""
        self.need_root()
        self.dir.chmod(0o777)
        program = self.program("program0")
        for number in range(1, 300):
            shutil.copy(program, self.tree / f"program{number}")
        user = {"user": 54321, "group": 54321, "extra_groups": []}
        for processes in (2, 3, 4):
            leader, follower = pty.openpty()
            done = self.limited({resource.RLIMIT_NPROC: processes}, "--jobs=8", stderr=follower, **user)
            os.close(follower)
            os.close(leader)
            self.assertEqual(done.returncode, 0)
            self.assertEqual(len(list(self.out.iterdir())), 300)
            self.run_command("verify", "-q", self.out / "program299")
            subprocess.run(["rm", "-rf", self.out], check=True)

    def test_without_memory_there_is_a_line_and_no_tree(self):
        """From so little that an empty tree takes all of it to enough."""
        def run_with(size):
            return self.limited({resource.RLIMIT_AS: size, resource.RLIMIT_CORE: 0}, "--jobs=2", "-q", capture_output=True)

        step, size = 256 << 10, 4 << 20
        while run_with(size).returncode != 0:
            self.assert_nothing_left()
            size += step
        shutil.rmtree(self.out)
        for number in range(2):
            shutil.copy("/usr/lib/x86_64-linux-gnu/libc.so.6", self.tree / str(number))
        for number in range(2_000):
            (self.tree / f"a-name-that-takes-memory-in-the-list-of-all-files-{number}").write_bytes(b"")
        failures = 0
        while (done := run_with(size)).returncode != 0:
            self.assertRegex(done.stderr, r"\Asysrewrite: [^\n]* memory\n\Z")
            self.assertEqual(done.returncode, 1)
            self.assert_nothing_left()
            failures += 1
            size += step
        self.assertGreater(failures, 3)


if __name__ == "__main__":
    batch_case.settle(*sys.argv[1:5])
    unittest.main(argv=[sys.argv[0], *sys.argv[5:]])
