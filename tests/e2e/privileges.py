#!/usr/bin/python3
"""privileges.py TOPIC...: programs that are started with more rights than their user has, each
against its native run: setuid and setgid files, file capabilities. Nothing that the user chooses may
then steer sysload."""
import os
import pathlib
import re
import stat
import struct

import e2e

USER = 65534
OWNER = 1234
AS_USER = {"user": USER, "group": USER, "extra_groups": []}

TABLE = b"sysload: system calls of "


class Privileged:
    """A fixture under one path, unpatched or rewritten, with an owner and a mode.

    sysload lies beside it, where only root writes: sysrewrite insists on that."""

    def __init__(self, report, place, program):
        self.report = report
        self.program = program
        self.path = place.bin / program.name
        self.sysload = place.root / "sysload"
        self.place = place
        place.install_at(e2e.SYSLOAD, self.sysload)

    def install(self, patched, mode, owner=0, options=(), capabilities=None):
        self.path.unlink(missing_ok=True)
        source = self.place.root / "source"
        self.place.install_at(self.program, source)
        os.chown(source, owner, owner)
        if capabilities is not None:
            os.setxattr(source, "security.capability", capabilities)
        source.chmod(mode)  # behind chown, which clears it
        if not patched:
            self.place.install_at(source, self.path)
            os.chown(self.path, owner, owner)
            if capabilities is not None:
                os.setxattr(self.path, "security.capability", capabilities)
            self.path.chmod(mode)
            return
        result = e2e.rewrite(source, self.path, *options, interp=self.sysload)
        e2e.check_rewriting(self.report, f"{self.program} with mode {mode:o}", result)
        self.report.equal(stat.S_IMODE(self.path.stat().st_mode), mode, "the mode is kept")

    def run(self, argv=(), **env):
        # The folder is the user's, as it is for whoever starts a setuid program.
        work = self.place.fresh_work()
        os.chown(work, USER, USER)
        environment = self.place.environment(**env)
        # glibc takes it out of a setuid program's environment, in place.
        del environment["TMPDIR"]
        return e2e.run([self.path, *argv], work, environment, **AS_USER)


def setuid(report):
    """Setuid and setgid programs start, with all their rights, and take no hook from their user."""
    for name in ("musl_seen", "glibc_seen", "glibcpie_seen"):
        for mode, owner, euid, egid in ((0o4755, 0, 0, USER), (0o4711, OWNER, OWNER, USER),
                                        (0o6755, 0, 0, 0)):
            with e2e.Place() as place:
                what = f"{name} with mode {mode:o} of {owner}"
                program = Privileged(report, place, e2e.FIXTURES / name)
                program.install(False, mode, owner)
                native = program.run(["x"], SYSLOAD_HOOK="count")
                rights = f"rights uid {USER}, euid {euid}, gid {USER}, egid {egid}, secure 1\n"
                report.check(rights.encode() in native.stdout, f"{what}: unpatched", native)
                program.install(True, mode, owner)
                for hook in ("count", "nonsense"):
                    wanted = native.stdout.replace(b"=count", b"=" + hook.encode())
                    patched = program.run(["x"], SYSLOAD_HOOK=hook)
                    report.equal((patched.status, patched.stderr), (0, b""),
                                 f"{what}: SYSLOAD_HOOK={hook} is not looked at")
                    report.equal(without_headers(patched.stdout), without_headers(wanted),
                                 f"{what}: sees what it sees unpatched")


def without_headers(text):
    # A moved table's address and size differ for others: starting.py says why.
    return re.sub(rb"(?m)^auxv \d+: [35]=.*\n", b"", text)


def hooks(report):
    """The hook of the environment is obeyed without the bit, and that of the file also with it."""
    with e2e.Place() as place:
        program = Privileged(report, place, e2e.FIXTURES / "glibc_seen")
        program.install(True, 0o755)
        report.check(TABLE in program.run(SYSLOAD_HOOK="count").stderr,
                     "without the setuid bit the user's hook is obeyed")
        program.install(True, 0o4755, options=("--hook", "count"))
        for hook in ("none", "nonsense"):
            outcome = program.run(SYSLOAD_HOOK=hook)
            report.check(outcome.status == 0 and TABLE in outcome.stderr,
                         f"the file's own hook holds against SYSLOAD_HOOK={hook}", outcome)


# Linux, include/uapi/linux/capability.h: revision 2, effective; permitted and inheritable, twice.
CAP_NET_BIND_SERVICE = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)


def capabilities(report):
    """A file's capabilities are there when the program runs, and the user's hook is not."""
    status = ["grep", "-E", "^(Uid|Gid|Cap|NoNewPrivs)", "/proc/self/status"]
    with e2e.Place() as place:
        program = Privileged(report, place, pathlib.Path("/bin/busybox"))
        program.install(False, 0o755, capabilities=CAP_NET_BIND_SERVICE)
        native = program.run(status)
        report.check(b"CapEff:\t0000000000000400\n" in native.stdout, "capabilities: unpatched",
                     native)
        program.install(True, 0o755, capabilities=CAP_NET_BIND_SERVICE)
        report.equal(os.getxattr(program.path, "security.capability"), CAP_NET_BIND_SERVICE,
                     "capabilities are in the output")
        for hook in ("count", "nonsense"):
            patched = program.run(status, SYSLOAD_HOOK=hook)
            report.equal((patched.status, patched.stdout, patched.stderr),
                         (native.status, native.stdout, native.stderr),
                         f"capabilities: as unpatched, with SYSLOAD_HOOK={hook}")


def without_proc(report):
    """Without /proc only the name tells which file runs, and that is the user's: it may name another
    file by now. Who has no rights to lose starts by it; a setuid program does not."""
    with e2e.Place() as place:
        program = Privileged(report, place, e2e.FIXTURES / "musl_heap")
        root = place.root / "root"
        for path in (program.path, program.sysload):
            (root / str(path.parent)[1:]).mkdir(parents=True, exist_ok=True)

        def run(patched, mode):
            program.install(patched, mode)
            for path in (program.path, program.sysload):
                place.install_at(path, root / str(path)[1:])
            (root / str(program.path)[1:]).chmod(mode)

            def enter():
                os.chroot(root)
                os.chdir("/")
                os.setgroups([])
                os.setresgid(USER, USER, USER)
                os.setresuid(USER, USER, USER)

            return e2e.run([program.path], place.fresh_work(), place.environment(),
                           preexec_fn=enter)

        good = (0, b"64 MiB of heap\n", b"")
        for mode in (0o755, 0o4755):
            native = run(False, mode)
            report.equal((native.status, native.stdout, native.stderr), good,
                         f"without /proc, mode {mode:o}: unpatched")
        plain = run(True, 0o755)
        report.equal((plain.status, plain.stdout, plain.stderr), good,
                     "without /proc, mode 755: starts by its name")
        setuid_outcome = run(True, 0o4755)
        report.check(setuid_outcome.status == 127 and setuid_outcome.stdout == b"" and
                     re.fullmatch(rb"sysload: [^\n]*/proc/self/exe[^\n]*: ENOENT\n",
                                  setuid_outcome.stderr),
                     "without /proc, mode 4755: one line and status 127", setuid_outcome)


def unreadable(report):
    """A program that its user may not read: a stated limit, said in one line."""
    with e2e.Place() as place:
        program = Privileged(report, place, e2e.FIXTURES / "musl_heap")
        program.install(False, 0o711)
        report.equal(program.run().stdout, b"64 MiB of heap\n", "unreadable: unpatched")
        program.install(True, 0o711)
        patched = program.run()
        report.check(patched.status == 127 and patched.stdout == b"" and
                     re.fullmatch(rb"sysload: [^\n]*: EACCES\n", patched.stderr),
                     "unreadable: one line and status 127", patched)
        # Setuid, it is read with its owner's rights.
        program.install(True, 0o4711)
        report.equal(program.run().stdout, b"64 MiB of heap\n", "unreadable, but setuid: runs")


TOPICS = {"setuid": setuid, "hooks": hooks, "capabilities": capabilities,
          "without_proc": without_proc, "unreadable": unreadable}


if __name__ == "__main__":
    e2e.need(os.geteuid() == 0, "this test must run as root: it starts programs as other users")
    e2e.main(TOPICS)
