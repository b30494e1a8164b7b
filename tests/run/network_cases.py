"""Programs that leave the network namespace in which the process behind `run` has its name."""
import json
import os
import shutil
import subprocess

from comparison import FULL, PYTHON, build, check, same, source_of, under_run
from rewriter_cases import SERVER

WAYS = ("unshare", "clone", "clone3", "vfork", "setns", "failing")

# Nothing may run native: what cannot be asked for ends the process.
NOTHING_NATIVE = "--unpatched=fail"


def goes_elsewhere(folder):
    flags = ["-O1", "-Wall"]
    build(folder, "dynamic", source_of("other_network"), *flags)
    build(folder, "static", source_of("other_network"), *flags, "-static")
    build(folder, "fresh", source_of("other_network"), *flags, "-O2")  # of which nobody has asked before


def case_another_network(runner):
    """By all ways that lead to one: what is executed there is followed, and descriptors are as natively, whatever
    the program closes and whichever numbers it takes."""
    every = (("--no-cache",), ("--hook", "pass:entry:exit"), ("--exhaustive",), ("--tiers=AD",))
    for kind in ("dynamic", "static"):
        for way in WAYS:
            for options in every if FULL or kind == "dynamic" else every[:1]:
                # None but the three, whatever the tests were started with.
                script = f"for fd in /proc/self/fd/*; do fd=${{fd##*/}}; [ $fd -le 2 ] || eval \"exec $fd>&-\"; done; ./{kind} {way}"
                same(runner, ["bash", "-c", script], prepare=goes_elsewhere, options=(NOTHING_NATIVE, *options))


def case_another_network_with_few_descriptors(runner):
    """Under the lowest limits there is no number for the way back; what does not find it says so."""
    for limit in (40, 12):
        same(runner, ["prlimit", f"--nofile={limit}:{limit}", "./dynamic", "unshare"], prepare=goes_elsewhere,
             options=(NOTHING_NATIVE,))


MAPS = "grep -c memfd:sysrewrite /proc/self/maps"


def case_containers(runner):
    """What makes containers makes such namespaces, and others with them."""
    network, root = ["unshare", "-n"], ["unshare", "-Urnpf", "--mount-proc"]
    sandbox = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-all"]
    named = ["bwrap", "--ro-bind", "/", "/", "--unshare-net", "--unshare-user", "--uid", "1234"]
    nested = [*network, *root]
    daemons = [PYTHON, "-c", f"""
import os, subprocess
os.unshare = __import__('ctypes').CDLL(None).unshare
os.unshare(0x40000000)
os.closerange(3, 100000)
print(int(subprocess.run(['sh', '-c', '{MAPS}'], close_fds=True, capture_output=True).stdout) > 0)
"""]
    for around in (network, root, sandbox, named, nested):
        # /proc says what is mapped; of a process that got no proc of its own it is the host's.
        same(runner, [*around, "sh", "-c", "id -u; cat /proc/net/dev | wc -l; ls -d /bin/true; exit 3"], status=3,
             options=(NOTHING_NATIVE,))
        outcome = runner.execute(under_run([*around, "sh", "-c", MAPS], NOTHING_NATIVE), runner.folder())
        check(outcome.status == 0 and int(outcome.stdout) > 0 and outcome.stderr == "", f"{around}: {outcome}")
    outcome = runner.execute(under_run(daemons, NOTHING_NATIVE), runner.folder())
    check((outcome.status, outcome.stdout, outcome.stderr) == (0, "True\n", ""), f"{outcome}")


def bundle(folder):
    """What an OCI runtime starts: a root directory with a shell in it, and a description."""
    os.makedirs(os.path.join(folder, "rootfs", "bin"))
    shutil.copy("/bin/busybox", os.path.join(folder, "rootfs", "bin", "sh"))
    subprocess.run(["runc", "spec"], cwd=folder, check=True)
    path = os.path.join(folder, "config.json")
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    config["process"].update(terminal=False, args=["sh", "-c", "echo /*; id -u; exit 3"])
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file)


def case_oci_runtime(runner):
    """It executes itself from where nobody can write, by a mount of /proc/self/exe, and asks for seccomp as libseccomp
    does, which is nothing to be said of."""
    for options in ((), ("--hook", "pass:entry:exit"), ("--exhaustive",)):
        same(runner, ["sh", "-c", "runc --rootless true --root $PWD/state run contained-$$"], prepare=bundle,
             status=3, options=(NOTHING_NATIVE, *options))


def case_hooks_in_another_network(runner):
    """They see what is done there, and their output arrives."""
    script = "cat only-there; unshare -n sh -c 'cat only-below'"
    def prepare(folder):
        for name in ("only-there", "only-below"):
            with open(os.path.join(folder, name), "w", encoding="ascii") as file:
                file.write("x\n")

    folder = runner.folder(prepare)
    command = ["unshare", "-Urn", "sh", "-c", script]
    outcome = runner.execute(under_run(command, NOTHING_NATIVE, "--hook", "files:output=seen"), folder)
    with open(os.path.join(folder, "seen"), encoding="utf-8") as file:
        lines = file.read().splitlines()
    for name in ("only-there", "only-below"):
        check(f"read {folder}/{name}" in lines, f"{name} is not in {lines}\n{outcome}")
    check(outcome.stdout == "x\nx\n" and outcome.stderr == "", f"{outcome}")


# A door is whatever says so: what comes through it need not be a connection.
STRANGE_DOORS = SERVER + r"""
DOOR, LOADER = (struct.pack("I508x", kind) for kind in (7, 2))
doors = [connect() for _ in range(100)]
for door in doors:
    door.send(DOOR)
    socket.send_fds(door, [DOOR], [os.open("/dev/null", os.O_RDONLY)])
    inner, outer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    socket.send_fds(door, [DOOR], [outer.fileno()])
    outer.close()
    # Through one that came through another.
    mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    socket.send_fds(inner, [DOOR], [its.fileno()])
    its.close()
    mine.send(LOADER)
    data, files, _, _ = socket.recv_fds(mine, 1000, 1)
    assert len(files) == 1 and os.pread(files[0], 4, 0) == b"\x7fELF", (data, files)
    os.close(files[0])
def held(): return len(os.listdir(f"/proc/{os.getppid()}/fd"))
many = held()
for door in doors:
    door.send(b"short")
    assert door.recv(1) == b"", "who says nothing that makes sense is not heard any more"
del doors, door, inner, mine
for _ in range(600):
    if held() < 50: break
    time.sleep(0.1)
print(many > 50, held() < 50, subprocess.run(["./true0"]).returncode)
"""


def case_doors_that_lead_nowhere(runner):
    """Nobody else is served less, and nothing of them stays."""
    def prepare(folder):
        build(folder, "true0", "int main(void) { return 0; }")

    outcome = runner.execute(under_run([PYTHON, "-c", STRANGE_DOORS], NOTHING_NATIVE), runner.folder(prepare))
    check((outcome.stdout, outcome.stderr) == ("True True 0\n", ""), f"{outcome}")
