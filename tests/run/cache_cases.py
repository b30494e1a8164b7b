"""The cache of `sysrewrite run`: used where it can be, harmless where it was tampered with."""
import json
import os
import re
import shutil
import subprocess
import time

from comparison import SYSREWRITE, Failure, build, check, environment, under_run

SETTLED = 0.2  # seconds after which the times of a file are believed
PROGRAM = r"""
#include <stdio.h>
#include <unistd.h>
int main(void) { return write(1, "right\n", 6) == 6 ? 0 : 1; }
"""


class Cache:
    """A cache and a key of a test's own."""

    def __init__(self, runner):
        self.folder = runner.folder()
        self.env = environment(self.folder, {"XDG_CACHE_HOME": self.folder + "/cache",
                                             "XDG_STATE_HOME": self.folder + "/state"})
        self.root = self.folder + "/cache/sysrewrite"
        self.key = self.folder + "/state/sysrewrite/cache-key"

    def run(self, command, expected="right\n", complaint=None, status=0, **more):
        done = subprocess.run(under_run(command), env=self.env, capture_output=True, text=True,
                              timeout=60, **more)
        check(done.returncode == status and done.stdout == expected,
              f"{command}: status {done.returncode}\n{done.stdout}\n{done.stderr}")
        if complaint is None:
            check(done.stderr == "", f"{command}: unexpected: {done.stderr}")
        else:
            check(complaint in done.stderr and done.stderr.count("\n") == 1,
                  f"{command}: one line with {complaint!r} expected: {done.stderr!r}")

    def command(self, *words, status=0):
        done = subprocess.run([SYSREWRITE, "cache", *words, "--json"], env=self.env,
                              capture_output=True, text=True, timeout=60, check=False)
        check(done.returncode == status, f"cache {words}: {done.returncode} {done.stdout} {done.stderr}")
        return json.loads(done.stdout)

    def files(self, shelf="entries"):
        folder = os.path.join(self.root, shelf)
        return {name: os.stat(os.path.join(folder, name)).st_ino for name in os.listdir(folder)}

    def entry_of(self, path):
        entries = [e for e in self.command("list")["entries"] if e["path"] == path]
        check(len(entries) == 1, f"{len(entries)} entries of {path}")
        found = [n for n in self.files() if n.startswith(entries[0]["content"])]
        return os.path.join(self.root, "entries", found[0])


def sample(runner):
    """A static program, with sites of its own, old enough to be known by its times."""
    folder = runner.folder()
    build(folder, "program", PROGRAM, "-static")
    time.sleep(SETTLED)
    return os.path.join(folder, "program")


def case_cache_is_used(runner):
    cache = Cache(runner)
    program = sample(runner)
    cache.run([program])
    entries, identities = cache.files(), cache.files("identities")
    check(len(entries) == 1 and len(identities) == 1, f"{entries} {identities}")
    cache.run([program])
    check(cache.files() == entries and cache.files("identities") == identities,
          "written again although nothing had changed")
    # The witness that it was read, and not rewritten: the process opens the entry and not much of
    # the original. A rewrite of this file decodes, and keeps; a hit does neither.
    trace = os.path.join(cache.folder, "trace")
    subprocess.run(["strace", "-f", "-e", "trace=openat,renameat", "-o", trace,
                    *under_run([program])], env=cache.env, check=True, capture_output=True)
    with open(trace, encoding="utf-8") as file:
        calls = file.read()
    name = next(iter(entries))
    check(f'"{name}"' in calls and "renameat(" not in calls, calls)
    # --no-cache neither reads nor writes.
    shutil.rmtree(cache.root)
    done = subprocess.run(under_run([program], "--no-cache"), env=cache.env, capture_output=True,
                          text=True, check=True)
    check(done.stdout == "right\n" and done.stderr == "" and not os.path.exists(cache.root), done)


# System calls 40 MB apart.
WIDE = r"""
.globl _start
call_it: mov $39, %eax
  syscall
  ret
  .skip 41943040, 0x90
_start: call call_it
  mov $231, %eax
  xor %edi, %edi
  syscall
"""


def case_cache_large_file_is_not_read_again(runner):
    """One that was not touched is read where its patches lie, and no more."""
    cache = Cache(runner)
    folder = runner.folder()
    build(folder, "wide", WIDE, "-nostdlib", "-static", suffix=".S")
    time.sleep(SETTLED)
    reads = []
    for _ in range(2):
        calls = folder + "/calls"
        subprocess.run(["strace", "-f", "-qq", "-e", "trace=pread64", "-o", calls, *under_run([folder + "/wide"])],
                       env=cache.env, check=True, timeout=60)
        with open(calls, encoding="ascii", errors="replace") as file:
            reads.append(sum(int(size) for size in re.findall(r"= (\d+)$", file.read(), re.M)))
    check(reads[0] > 40e6 and reads[1] < 4e6, f"bytes that were read, cold and warm: {reads}")


def replace_by(kind, path, elsewhere):
    def make(path):
        if kind == "link":
            os.symlink("/bin/true", path)
        elif kind == "link to an entry":
            os.rename(path + ".old", elsewhere)
            os.symlink(elsewhere, path)
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind == "huge":
            with open(path, "wb") as file:
                file.truncate(1 << 40)
        elif kind == "folder":
            os.mkdir(path)
        elif kind == "full folder":
            os.makedirs(path + "/deep/er")
            with open(path + "/deep/er/file", "w", encoding="utf-8") as file:
                file.write("x")
        elif kind == "empty":
            open(path, "wb").close()
        elif kind == "device":
            os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero
        else:
            raise Failure(kind)
    os.rename(path, path + ".old")
    make(path)
    if os.path.exists(path + ".old"):
        os.unlink(path + ".old")


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at if at >= 0 else os.path.getsize(path) + at)
        where = file.tell()
        byte = file.read(1)
        file.seek(where)
        file.write(bytes([byte[0] ^ 1]))


def case_cache_tampered_with(runner):
    cache = Cache(runner)
    program = sample(runner)
    cache.run([program])
    entry = cache.entry_of(program)
    with open(entry, "rb") as file:
        good = file.read()
    identity = os.path.join(cache.root, "identities", next(iter(cache.files("identities"))))

    def again(what):
        cache.run([program])
        with open(entry, "rb") as file:
            check(file.read() == good, f"{what}: no fresh entry was written")
        check(cache.command("verify")["problems"] == [], what)

    # Its bytes: digest, sizes, patches, trampoline, seal.
    for at in (0, 8, 40, 56, 80, len(good) // 2, -33, -32, -1):
        flip(entry, at)
        again(f"entry, byte {at}")
        flip(identity, at % 128)
        again(f"identity, byte {at}")
    for size in (0, 1, 71, len(good) - 1):
        os.truncate(entry, size)
        again(f"truncated to {size}")
    # What it is.
    for kind in ("link", "link to an entry", "fifo", "huge", "folder", "full folder", "empty",
                 "device"):
        for path in (entry, identity):
            replace_by(kind, path, cache.folder + "/elsewhere")
            again(f"{kind} at {path}")
    # Another file's entry in its place, sealed as it is.
    folder = runner.folder()
    build(folder, "other", PROGRAM.replace("right", "wrong"), "-static")
    cache.run([folder + "/other"], expected="wrong\n")
    shutil.copyfile(cache.entry_of(folder + "/other"), entry)
    again("another's entry")
    # Another key.
    flip(cache.key, 3)
    cache.run([program])
    check(cache.command("verify", status=1)["problems"] != [], "another key, the same seals")
    cache.command("prune")
    check(cache.command("verify")["problems"] == [], "prune left what is not believed")
    # The folders.
    for path in (cache.root, cache.root + "/entries", cache.root + "/identities"):
        os.chmod(path, 0o777)
        cache.run([program], complaint="is open to others")
        os.chmod(path, 0o700)
        os.rename(path, path + ".away")
        os.symlink(path + ".away", path)
        cache.run([program], complaint="cannot open")
        os.unlink(path)
        os.rename(path + ".away", path)
    os.unlink(cache.key)
    os.symlink("/etc/hostname", cache.key)
    cache.run([program], complaint="is no key")


def case_cache_originals_change(runner):
    cache = Cache(runner)
    program = sample(runner)
    cache.run([program])
    with open(program, "rb") as file:
        original = file.read()
    # The same size and name, and even the same modification time.
    times = os.stat(program)
    with open(program, "r+b") as file:
        file.seek(original.index(b"right\n"))
        file.write(b"wrong\n")
    os.utime(program, ns=(times.st_atime_ns, times.st_mtime_ns))
    cache.run([program], expected="wrong\n")
    check(len(cache.files()) == 2, cache.files())
    # A copy elsewhere has the same content: the entry is there, only the identity is new.
    folder = runner.folder()
    copy = os.path.join(folder, "copy")
    with open(copy, "wb") as file:
        file.write(original)
    os.chmod(copy, 0o755)
    cache.run([copy])
    check(len(cache.files()) == 2, cache.files())
    count = len(cache.files("identities"))
    os.chmod(copy, 0o755)  # a change, and a new identity
    time.sleep(SETTLED)
    cache.run([copy])
    check(len(cache.files("identities")) == count + 1, "no identity was kept")
    cache.command("verify")


def case_cache_many_writers(runner):
    cache = Cache(runner)
    started = [subprocess.Popen(under_run(["/bin/bash", "-c", "echo right | cat"]), env=cache.env,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
               for _ in range(50)]
    for process in started:
        out, err = process.communicate(timeout=300)
        check(process.returncode == 0 and out == "right\n" and err == "",
              f"{process.returncode} {out} {err}")
    proven = cache.command("verify")
    check(proven["problems"] == [] and proven["proven"] >= 4 and proven["sealed"] == 0, proven)
    left = [n for shelf in ("entries", "identities") for n in cache.files(shelf)
            if n.startswith("new.")]
    check(not left, f"left over: {left}")


def case_cache_cannot_be_had(runner):
    program = sample(runner)
    # No home at all.
    cache = Cache(runner)
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "HOME"):
        del cache.env[name]
    cache.run([program], complaint="neither $XDG_CACHE_HOME nor $HOME names a folder")
    cache.env["HOME"] = "relative"
    cache.run([program], complaint="neither $XDG_CACHE_HOME nor $HOME names a folder")
    # A home that cannot be written, which root has to be shown by a file system.
    cache = Cache(runner)
    mounted = runner.folder()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", mounted], check=True)
    try:
        cache.env["XDG_CACHE_HOME"] = mounted + "/cache"
        cache.run([program], complaint="Read-only file system")
    finally:
        subprocess.run(["umount", mounted], check=True)
    # A full one.
    cache = Cache(runner)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", mounted], check=True)
    try:
        os.chmod(mounted, 0o700)
        cache.env["XDG_CACHE_HOME"] = mounted
        cache.run([program], complaint="No space left on device")
        left = [n for _, _, names in os.walk(mounted) for n in names if n.startswith("new.")]
        check(not left, f"half written: {left}")
    finally:
        subprocess.run(["umount", mounted], check=True)
    # Somebody else's.
    cache = Cache(runner)
    os.makedirs(cache.root, 0o700)
    os.chown(cache.root, 65534, 65534)
    cache.run([program], complaint="belongs to user 65534")


def case_cache_under_any_umask(runner):
    """The folders that it makes can be opened the next time, and by others: ~/.cache is everybody's."""
    check(os.geteuid() == 0, "this test has to be another user, for whom rights count: run it as root")
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    for umask in (0o777, 0o277, 0o477):
        home = runner.folder()
        tools = [shutil.copy(path, home) for path in (SYSREWRITE, os.environ["SYSLOAD"], "/bin/echo")]
        os.chown(home, 65534, 65534)
        for mask in (umask, 0o022):
            done = subprocess.run([tools[0], "run", "--loader", tools[1], "--", tools[2], "said"], env={"HOME": home}, umask=mask,
                                  capture_output=True, text=True, timeout=60, check=False, **nobody)
            check((done.returncode, done.stdout, done.stderr) == (0, "said\n", ""), f"{umask:o} {mask:o}: {done}")
        for folder in (".cache", ".cache/sysrewrite/entries", ".local", ".local/state/sysrewrite"):
            mode = os.stat(os.path.join(home, folder)).st_mode & 0o777
            check(mode == 0o700, f"{umask:o}: {folder} has mode {mode:o}")


def case_cache_commands(runner):
    cache = Cache(runner)
    program = sample(runner)
    cache.run([program])
    cache.run(["/bin/bash", "-c", "echo right"])
    listed = cache.command("list")
    paths = {e["path"]: e for e in listed["entries"]}
    check(program in paths and any(p.endswith("libc.so.6") for p in paths), listed)
    check(all(e["usable"] for e in listed["entries"]), listed)
    check(listed["bytes"] == sum(os.path.getsize(os.path.join(cache.root, shelf, name))
                                 for shelf in ("entries", "identities")
                                 for name in cache.files(shelf)), listed)
    content = subprocess.run(["sha256sum", program], capture_output=True, text=True, check=True)
    check(paths[program]["content"] == content.stdout.split()[0], "not the content's digest")
    proven = cache.command("verify")
    check(proven["proven"] == len(listed["entries"]) and not proven["problems"], proven)
    # The least recently used goes first.
    os.utime(cache.entry_of(program), (1, 1))
    pruned = cache.command("prune", "--max-size", str(listed["bytes"] - 1))
    check(pruned["removed_files"] == 1, pruned)
    check(program not in {e["path"] for e in cache.command("list")["entries"]}, "the wrong one went")
    check(cache.command("prune", "--max-size", "0")["bytes"] == 0, "not empty")
    check(cache.files() == {} and cache.files("identities") == {}, "not empty")
    # An original that is gone is no fault.
    cache.run([program])
    os.unlink(program)
    check(cache.command("verify")["sealed"] == 1, "an entry without its original")
