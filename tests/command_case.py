"""What the tests of the command share: the command itself, what it is given, and a folder for each test."""

import ctypes
import os
import pathlib
import shutil
import stat
import struct
import subprocess
import tempfile
import unittest

SYSREWRITE = GOLDEN = WORK = None  # settle() says where they are
ELSEWHERE = None
GCC = "/usr/bin/gcc"
SAMPLES = {"busybox": "/bin/busybox", "musl": "/usr/lib/x86_64-linux-musl/libc.so",
           "pie": "/sbin/ldconfig"}
NOBODY = 65534
# Of extended attributes: of a path, of a link, of a descriptor.
GETTING, LISTING = (191, 192, 193), (194, 195, 196)


def assemble(rule, output):
    """The input of a golden rule, a small program of known tiers."""
    subprocess.run([GCC, "-nostdlib", "-static", "-Wl,--build-id=none", "-I", GOLDEN,
                    GOLDEN / f"{rule}.in.S", "-o", output], check=True)


def refuse_calls(numbers, error):
    """From now on the kernel answers these system calls of this process by an error."""
    libc = ctypes.CDLL(None, use_errno=True)
    load, jump_if_equal, answer = 0x20, 0x15, 0x06
    rows = [(load, 0, 0, 0)]
    for number in numbers:
        rows += [(jump_if_equal, 0, 1, number), (answer, 0, 0, 0x50000 | error)]
    rows.append((answer, 0, 0, 0x7fff0000))
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *row) for row in rows))
    program = struct.pack("<HxxxxxxQ", len(rows), ctypes.addressof(code))
    no_new_privileges, seccomp, filter_mode = 38, 22, 2
    if libc.prctl(no_new_privileges, 1, 0, 0, 0) != 0 or libc.prctl(seccomp, filter_mode, program, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot set a filter")


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


def open_to_all(path):
    """Whether somebody without privilege gets there, as the tests of such a user need."""
    return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))


def settle(sysrewrite, golden, work):
    """Takes the arguments of a script, and works elsewhere where others could not get at the folder."""
    global SYSREWRITE, GOLDEN, WORK, ELSEWHERE
    SYSREWRITE, GOLDEN, WORK = (pathlib.Path(path).resolve() for path in (sysrewrite, golden, work))
    WORK.mkdir(parents=True, exist_ok=True)
    if not open_to_all(WORK):  # a checkout in a home that is closed to others, such as root's
        ELSEWHERE = tempfile.TemporaryDirectory(prefix=f"sysrewrite-{WORK.name}-")
        WORK = pathlib.Path(ELSEWHERE.name)
        WORK.chmod(0o755)
        SYSREWRITE = pathlib.Path(shutil.copy(SYSREWRITE, WORK))
