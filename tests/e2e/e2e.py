"""What the end-to-end tests share: where the tools are, how a program is rewritten and run, and how
a test counts and says what it found.

A program runs at the same path unpatched and patched, in a fresh directory of the same name, with
the same environment: whatever differs then comes from the rewriting.
"""
import contextlib
import difflib
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SYSREWRITE = os.environ.get("SYSREWRITE", "")
SYSLOAD = os.environ.get("SYSLOAD", "")
FIXTURES = pathlib.Path(os.environ.get("FIXTURES", "/nonexistent"))
FULL = os.environ.get("SYSREWRITE_TEST_FULL") == "1"

# Nothing here is a speed test: a program that runs for this long hangs.
HANG_SECONDS = int(os.environ.get("SYSREWRITE_TEST_HANG", "120"))


class Hang(Exception):
    pass


class Report:
    """Counts checks, says each one that failed, and ends the test."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def check(self, holds, sentence, details=""):
        if holds:
            self.passed += 1
            print(f"ok: {sentence}", flush=True)
        else:
            self.failed += 1
            print(f"FAILED: {sentence}", flush=True)
            for line in str(details).splitlines():
                print(f"    {line}", flush=True)
        return bool(holds)

    def equal(self, found, expected, sentence):
        details = ""
        if found != expected:
            details = "\n".join(difference(expected, found))
        return self.check(found == expected, sentence, details)

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed")
        # A test that checked nothing is no success.
        sys.exit(0 if self.failed == 0 and self.passed > 0 else 1)


def difference(expected, found, lines=40):
    def as_lines(value):
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if isinstance(value, str):
            value = value.splitlines()
        if not isinstance(value, (list, tuple)):
            value = [repr(value)]
        return [str(line) for line in value]

    diff = list(difflib.unified_diff(as_lines(expected), as_lines(found), "expected", "found",
                                     lineterm="", n=3))
    if len(diff) > lines:
        diff = diff[:lines] + [f"... {len(diff) - lines} more lines"]
    return diff or [f"expected {expected!r}", f"found    {found!r}"]


def need(condition, sentence):
    """A tool or file that is missing fails the test: a skip is one that nobody sees."""
    if not condition:
        print(f"FAILED: {sentence}")
        print("0 passed, 1 failed")
        sys.exit(1)


def need_tools():
    for name, path in (("SYSREWRITE", SYSREWRITE), ("SYSLOAD", SYSLOAD)):
        need(path and os.access(path, os.X_OK), f"{name}={path} names a program")
    need(FIXTURES.is_dir(), f"FIXTURES={FIXTURES} is a folder")
    for tool in ("/usr/bin/strace", "/usr/bin/gdb", "/usr/bin/setarch", "/bin/busybox",
                 "/bin/bash-static", "/usr/bin/taskset"):
        need(os.access(tool, os.X_OK), f"{tool} is installed")


class Rewritten:
    """The report that `sysrewrite --json` gave, and its exit status."""

    def __init__(self, completed):
        self.status = completed.returncode
        self.stderr = completed.stderr.decode("utf-8", "replace")
        try:
            self.json = json.loads(completed.stdout)
        except ValueError:
            self.json = {}
        self.tiers = self.json.get("tiers", {})
        self.sites = {}
        for site in self.json.get("sites", []):
            address = site["address"]
            self.sites[int(address, 0) if isinstance(address, str) else address] = site


def rewrite(source, target, *options, interp=SYSLOAD):
    completed = subprocess.run(
        [SYSREWRITE, "--json", "--interp", str(interp), *options, str(source), str(target)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=HANG_SECONDS)
    return Rewritten(completed)


def check_rewriting(report, name, result):
    """Exit status 0, no site native, and counts that add up."""
    ok = report.check(result.status == 0, f"{name}: rewriting ends with status 0",
                      f"status {result.status}\n{result.stderr}")
    tiers = result.tiers
    ok &= report.check(tiers.get("native") == 0, f"{name}: no site is native ({tiers})", tiers)
    total = sum(tiers.get(tier, 0) for tier in ("A", "B", "C", "D", "native"))
    ok &= report.check(total > 0 and total == len(result.sites),
                       f"{name}: the tiers add up to {len(result.sites)} sites", tiers)
    ok &= report.check(result.json.get("candidates", {}).get("uncertain") == 0,
                       f"{name}: no candidate is uncertain", result.json.get("candidates"))
    return ok


class Place:
    """A directory with a program in it and one to run it in, the same for both runs."""

    def __init__(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="sysrewrite-e2e-"))
        self.bin = self.root / "bin"
        self.bin.mkdir()
        self.work = self.root / "work"
        os.chmod(self.root, 0o755)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        shutil.rmtree(self.root, ignore_errors=True)

    def install(self, program, name):
        """Puts a program at the path where it runs, as a new file: the old one may still run."""
        self.install_at(program, self.bin / name)

    def install_at(self, program, path):
        path.unlink(missing_ok=True)
        shutil.copy2(program, path)

    def fresh_work(self):
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        return self.work

    def environment(self, **more):
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": str(self.work),
                       "TMPDIR": str(self.work)}
        environment.update(more)
        return environment


class Outcome:
    def __init__(self, status, stdout, stderr):
        self.status = status
        self.stdout = stdout
        self.stderr = stderr

    def __str__(self):
        return (f"status {self.status}\nstdout: {self.stdout[-2000:]!r}\n"
                f"stderr: {self.stderr[-2000:]!r}")


@contextlib.contextmanager
def filled(data):
    """A file to read from: how a pipe's bytes arrive depends on its writer."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        yield file


def run(argv, cwd, env, stdin=b"", seconds=HANG_SECONDS, **more):
    """Runs a program in a session of its own, with bytes or a file to read; a hang kills the whole
    session and raises."""
    process = subprocess.Popen([str(word) for word in argv], cwd=cwd, env=env,
                               stdin=subprocess.PIPE if isinstance(stdin, bytes) else stdin,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               start_new_session=True, **more)
    try:
        stdout, stderr = process.communicate(stdin if isinstance(stdin, bytes) else None,
                                             timeout=seconds)
    except subprocess.TimeoutExpired:
        kill_session(process.pid)
        stdout, stderr = process.communicate()
        raise Hang(f"{argv} still ran after {seconds} s\nstdout: {stdout[-1000:]!r}\n"
                   f"stderr: {stderr[-1000:]!r}") from None
    return Outcome(process.returncode, stdout, stderr)


def kill_session(session):
    """Kills what belongs to the session of a program that this test started, and nothing else."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as stat:
                if int(stat.read().rsplit(b")", 1)[1].split()[3]) == session:
                    os.kill(int(entry), signal.SIGKILL)
        except (OSError, IndexError):
            pass


def run_on_terminal(argv, cwd, env, steps=(), seconds=HANG_SECONDS):
    """Runs a program on a terminal of its own. Each step waits for a text, and then types one."""
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.execve(str(argv[0]), [str(word) for word in argv], env)
    seen = b""  # with carriage returns, as a terminal shows it
    position = 0
    steps = list(steps)
    deadline = time.monotonic() + seconds
    while True:
        if time.monotonic() > deadline:
            kill_session(pid)
            os.waitpid(pid, 0)
            os.close(master)
            raise Hang(f"{argv} still ran after {seconds} s on a terminal, waiting for "
                       f"{steps[:1]}: {seen[-2000:]!r}")
        if steps and steps[0][0] in seen[position:]:
            position = seen.index(steps[0][0], position) + len(steps[0][0])
            os.write(master, steps.pop(0)[1])
        if select.select([master], [], [], 0.5)[0]:
            try:
                data = os.read(master, 65536)
            except OSError:
                data = b""
            if not data:
                break
            seen += data
    _, status = os.waitpid(pid, 0)
    os.close(master)
    return Outcome(os.waitstatus_to_exitcode(status), seen, b"")


class Elf:
    """As much of an ELF file as the tests look at, read here and not by the code under test."""

    def __init__(self, path):
        self.data = pathlib.Path(path).read_bytes()
        self.type, = struct.unpack_from("<H", self.data, 16)
        self.entry, self.phoff, self.shoff = struct.unpack_from("<QQQ", self.data, 24)
        _, phentsize, phnum, shentsize, shnum, shstrndx = struct.unpack_from("<HHHHHH", self.data,
                                                                             52)
        self.segments = [struct.unpack_from("<IIQQQQQQ", self.data, self.phoff + i * phentsize)
                         for i in range(phnum)]
        self.sections = {}
        headers = [struct.unpack_from("<IIQQQQIIQQ", self.data, self.shoff + i * shentsize)
                   for i in range(shnum)] if self.shoff else []
        if headers:
            names = headers[shstrndx][4]
            for header in headers:
                start = names + header[0]
                name = self.data[start:self.data.index(b"\0", start)].decode()
                self.sections[name] = self.data[header[4]:header[4] + header[5]]

    def offset_of(self, address):
        for kind, _, offset, vaddr, _, filesz, _, _ in self.segments:
            if kind == 1 and vaddr <= address < vaddr + filesz:
                return offset + address - vaddr
        raise ValueError(f"{address:#x} is in no segment")

    def bytes_at(self, address, count):
        offset = self.offset_of(address)
        return self.data[offset:offset + count]


def main(topics):
    """Runs the topics that the command line names, each a function of a report."""
    need_tools()
    report = Report()
    for topic in sys.argv[1:]:
        try:
            topics[topic](report)
        except Hang as hang:
            report.check(False, f"{topic}: ends", hang)
    report.end()
