"""What the tests of `sysrewrite batch` share: a tree, what becomes of it, and all that a copy has to keep."""

import hashlib
import json
import os
import pathlib
import stat
import subprocess

import command_case
from command_case import CommandTest, assemble

SYSLOAD = None  # settle() says where it is
RULES = ("covers_previous_instruction", "springboard_behind_the_function")


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

    def report(self, *options, expect=0, **more):
        return json.loads(self.batch("--json", *options, expect=expect, **more).stdout)

    def assert_nothing_left(self):
        self.assertEqual([path.name for path in self.dir.iterdir()], ["tree"])

    def program(self, path, rule=RULES[0], mode=0o755):
        path = self.tree / path
        path.parent.mkdir(parents=True, exist_ok=True)
        assemble(rule, path)
        path.chmod(mode)
        return path


def settle(sysrewrite, sysload, golden, work):
    """As command_case.settle(), and where sysload is."""
    global SYSLOAD
    SYSLOAD = str(pathlib.Path(sysload).resolve())
    command_case.settle(sysrewrite, golden, work)
