"""The programs and command lines that are compared unpatched and patched, by group.

Everything a case does must come out the same on two unpatched runs, or comparing means nothing.
"""
from e2e import FIXTURES, HERE

BUSYBOX = "/bin/busybox"
BASH = "/bin/bash-static"


class Case:
    """One run: `argv` behind the program, or steps typed at a terminal.

    schedule: threads, goroutines or children whose order the scheduler decides; calls.py compares
    them as it says there.
    own_exe: it opens or executes /proc/self/exe, which is sysload where that is the command."""

    def __init__(self, name, argv=(), stdin=b"", env=None, terminal=None, schedule=None,
                 own_exe=False):
        self.name = name
        self.argv = list(argv)
        self.stdin = stdin
        self.env = env or {}
        self.terminal = terminal
        self.schedule = schedule
        self.own_exe = own_exe


def scripts(shell, argv, self_shell):
    cases = []
    for path in sorted((HERE / "scripts").glob("*.sh")):
        name, *kinds = path.name.split(".")[:-1]
        if ("bash" in kinds or "busybox" in kinds) and shell not in kinds:
            continue
        cases.append(Case(name, [*argv, str(path)], env={"SELF_SHELL": self_shell},
                          terminal=[] if "tty" in kinds else None, schedule="shell",
                          # busybox executes itself for its own commands.
                          own_exe=shell == "busybox"))
    return cases


# Typed at an interactive shell: a job stopped by ^Z, brought back, interrupted by ^C.
STUBBORN = b"%s\n" % str(FIXTURES / "stubborn").encode()


def typed(prompt):
    return [
        (prompt, STUBBORN),
        (b"\nstarted\r\n", b"\x1a"),
        (prompt, b"fg > /dev/null\n"),
        (b"\nback\r\n", b"\x03"),
        (prompt, b"echo interrupted $?\n"),
        (b"\ninterrupted 130\r\n" + prompt, STUBBORN),
        (b"\nstarted\r\n", b"\x1a"),
        (prompt, b"kill -KILL %1; sleep 0.1; echo killed\n"),
        (b"\nkilled\r\n", b""),
        (prompt, b"echo ready; cat\n"),
        (b"\nready\r\n", b"typed\n"),
        (b"typed\r\ntyped\r\n", b"\x04"),
        (prompt, b"exit 5\n"),
    ]


C_PARTS = ("files", "pipes", "processes", "threads", "fork", "signals", "memory", "sockets",
           "events")


def c_cases():
    return [Case(part, [part], schedule="threads" if part in ("threads", "fork") else None)
            for part in C_PARTS]


# One processor and no preemption by signals: else the runtime's own threads start at another time
# on each run.
GO_QUIET = {"GOMAXPROCS": "1", "GODEBUG": "asyncpreemptoff=1"}
GO_PARTS = ("goroutines", "stacks", "files", "echo", "children", "signals")
RUST_PARTS = ("threads", "files", "echo", "children")


def rust_cases():
    return [Case(part, [part], schedule="threads" if part in ("threads", "echo") else None)
            for part in RUST_PARTS]


# group -> (program, cases)
GROUPS = {
    "busybox": (BUSYBOX, scripts("busybox", ["sh"], "busybox sh") + [
        Case("typed", ["sh", "-i"], env={"PS1": "now> ", "ENV": "/dev/null"},
             terminal=typed(b"now> "), schedule="shell"),
        Case("stdin", ["sh"], stdin=b"echo from stdin; cat\nthe rest\n", schedule="shell"),
        Case("unknown", ["nonsense"]),
        Case("cat", ["cat"], stdin=bytes(range(256)) * 1000),
    ]),
    "bash": (BASH, scripts("bash", [], "bash") + [
        Case("typed", ["--norc", "--noprofile", "--noediting", "-i"], env={"PS1": "now> "},
             terminal=typed(b"now> "), schedule="shell"),
        Case("stdin", [], stdin=b"echo from stdin; cat\nthe rest\n", schedule="shell"),
        Case("arguments", ["-c", 'printf "<%s>" "$0" "$@"', "zero", "", "a b", "\t"]),
        Case("syntax error", ["-c", "if then"]),
        Case("killed", ["-c", "kill -9 $$"]),
    ]),
    "musl": (FIXTURES / "musl_everyday", c_cases()),
    "glibc": (FIXTURES / "glibc_everyday", c_cases()),
    "glibcpie": (FIXTURES / "glibcpie_everyday", c_cases()),
    "go": (FIXTURES / "go_everyday",
           [Case(part, [part], env=GO_QUIET, schedule="go", own_exe=part == "children")
            for part in GO_PARTS] +
           [Case(part + " on all processors", [part], schedule="go free",
                 own_exe=part == "children") for part in GO_PARTS]),
    "rust": (FIXTURES / "rust_pie", rust_cases()),
    "rust_static": (FIXTURES / "rust_static", rust_cases()),
    "pascal": (FIXTURES / "pascal_everyday", [Case("all"), Case("arguments", ["a", "b c"])]),
}
