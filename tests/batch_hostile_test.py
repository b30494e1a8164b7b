#!/usr/bin/python3
"""`sysrewrite batch` over trees that somebody damages, or changes meanwhile.
Usage: batch_hostile_test.py SYSREWRITE SYSLOAD GOLDEN-SOURCES WORK-DIRECTORY [unittest arguments]
"""

import glob
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import unittest

sys.dont_write_bytecode = True

import batch_case
import command_case
from batch_case import BatchTest, RULES


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


if __name__ == "__main__":
    batch_case.settle(*sys.argv[1:5])
    unittest.main(argv=[sys.argv[0], *sys.argv[5:]])
