"""The process behind `sysrewrite run`: who reaches it, who does not, and what clients may do to it."""
import os
import shutil
import socket
import tempfile
import threading
import time

from comparison import SYSLOAD, build, check, counts, source_of, tool, under_run, write


def case_what_outlives_the_program(runner):
    """A daemon executes something when `run` is gone: it runs native, and says so."""
    folder = runner.folder()
    script = "(sleep 1; grep -c memfd:sysrewrite /proc/self/maps) & exit 0"
    outcome = runner.execute(under_run(["sh", "-c", script]), folder)
    check(outcome.stdout != "0\n" or "native" in outcome.stderr,
          f"ran native, and nobody said so\n{outcome}")


def case_another_user(runner):
    """From where the rewriter cannot be reached programs run native, and that is said."""
    way = ["setpriv", "--reuid", "65534", "--clear-groups"]
    outcome = runner.execute(
        under_run([*way, "sh", "-c", "grep -c memfd:sysrewrite /proc/self/maps; :"]), runner.folder())
    check((outcome.status, outcome.stdout) == (0, "0\n") and "native" in outcome.stderr,
          f"ran native, and nobody said so\n{outcome}")


def case_questions_that_were_answered(runner):
    """What a tree asks again is read from memory that the rewriter shares, and not asked for."""
    folder = runner.folder()
    children = 30
    strace = [tool("strace"), "-f", "-qq", "-e", "trace=connect", "-o", folder + "/calls"]
    script = f"i=0; while [ $i -lt {children} ]; do /bin/true; i=$((i + 1)); done; " \
             "cat /proc/self/maps"
    outcome = runner.execute([*strace, *under_run(["sh", "-c", script])], folder)
    with open(folder + "/calls", encoding="ascii") as calls:
        asked = calls.read().count('@"sysrewrite-')
    # sh, and the first of its children or two: the program, ld.so, libc.
    check(outcome.status == 0 and 0 < asked < children, f"{asked} requests\n{outcome}")
    copies = [line for line in outcome.stdout.splitlines() if "/memfd:sysrewrite" in line]
    check(copies, f"cat ran native\n{outcome}")


# The number of the process behind `run`, and of its table's descriptor, are another's here, whose table
# says of every file that there is nothing to rewrite. All that differs is the name of the server.
STRANGER = r"""
for i in 1 2 3; do grep -q . /proc/self/maps; done
table=$(ls -l /proc/$PPID/fd | sed -n 's,.* \([0-9]*\) -> /memfd:answers-of-sysrewrite.*,\1,p')
python3 - /proc/$PPID/fd/$table <<'END' || exit
import sys
table = bytearray(open(sys.argv[1], "rb").read())
answers = 8 + 64 + 18 * 32 + 8 + 512 * 8  # trampoline/answer_table.h
assert len(table) == answers + 512 * 352 and table[8:19] == b"sysrewrite-"
count = int.from_bytes(table[answers - 512 * 8 - 8:answers - 512 * 8 - 4], "little")
assert count > 2
for i in range(count):
    table[answers + 352 * i + 56] = 1  # kNothing
table[8:19] = @NAME@
open("fake", "wb").write(table)
END
server=$PPID table=$table exec unshare --pid --fork --mount-proc bash -c '
  echo $((server - 1)) > /proc/sys/kernel/ns_last_pid
  eval "sleep 100 $table<fake & "
  for i in {1..100}; do test -e /proc/$server/fd/$table && break; sleep 0.1; done
  test $! = $server && test $i != 100 && echo stranger
  grep -c memfd:sysrewrite /proc/self/maps
  kill $!'
"""


def case_a_stranger_with_the_rewriters_number(runner):
    """In another PID namespace the table of answers is not where it is said to be."""
    for name, is_believed in (('b"sysrewrite_"', False), ('b"sysrewrite-"', True)):
        outcome = runner.execute(
            under_run(["bash", "-c", STRANGER.replace("@NAME@", name)]), runner.folder())
        lines = outcome.stdout.split()
        # What a table by the right name says is believed: the stranger could have been.
        check(lines[:1] == ["stranger"] and len(lines) == 2 and outcome.stderr == "" and
              (lines[1] == "0") == is_believed, f"{name}: believed or not\n{outcome}")


def case_a_stranger_at_the_servers_name(runner):
    """Who listens there must be this user, or root: its answer is code that runs here."""
    check(os.geteuid() == 0, "this test has to be another user, too: run it as root")
    name = f"sysrewrite-{os.getpid():032x}"
    asked = []

    def listen(listener):
        connection, _ = listener.accept()
        asked.append(connection.recv(1 << 16))
        connection.close()

    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.settimeout(60)
        listener.bind("\0" + name)
        os.seteuid(65534)  # whose credentials a peer sees is settled by listen()
        listener.listen()
        os.seteuid(0)
        thread = threading.Thread(target=listen, args=(listener,))
        thread.start()
        outcome = runner.execute([SYSLOAD, "--server", name, "/bin/true"], runner.folder())
        thread.join()
    check(asked == [b""], f"the stranger was asked {asked}\n{outcome}")


# Of a program whose parent is the server.
SERVER = r"""
import os, socket, struct, subprocess, sys, time
of_parent = f".{os.getppid()}."
names = [line.split()[-1] for line in open("/proc/net/unix") if "@sysrewrite-" in line]
name = "\0" + next(name for name in names if of_parent in name)[1:]
def connect():
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(name)
    return connection
"""

SILENT = SERVER + r"""
silent = []
for i in range(100):
    subprocess.run([f"./true{i}"], check=True)  # asks, and sends its file
    silent.append(connect())
dropped = 0
for connection in silent:
    try:
        connection.recv(1, socket.MSG_DONTWAIT)
        dropped += 1
    except BlockingIOError:
        pass
print(len(silent), "wait,", dropped, "dropped")
"""


def case_clients_that_say_nothing(runner):
    """Nobody else's descriptor is touched for them: the server once read the control data of a
    message that had not come, and closed what the last message had brought."""
    folder = runner.folder()
    for i in range(100):
        shutil.copy("/bin/true", os.path.join(folder, f"true{i}"))
    outcome = runner.execute(under_run(["python3", "-c", SILENT]), folder)
    check(outcome.stdout == "100 wait, 0 dropped\n" and outcome.stderr == "", f"{outcome}")


MANY_SILENT = SERVER + r"""
import signal, subprocess
reader, writer = os.pipe()
children = []
for _ in range(3):
    children.append(os.fork())
    if children[-1] == 0:
        connections = [connect() for _ in range(40)]
        os.write(writer, b"x")
        signal.pause()
    os.read(reader, 1)
print([subprocess.run([f"./true{i}"]).returncode for i in range(5)])
for child in children:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


def case_clients_that_take_all_descriptors(runner):
    """The oldest of those who have connected and say nothing make room for who has something to say."""
    folder = runner.folder()
    for i in range(5):
        shutil.copy("/bin/true", os.path.join(folder, f"true{i}"))
    outcome = runner.execute(["prlimit", "--nofile=60:60", *under_run(["python3", "-c", MANY_SILENT])], folder)
    check(outcome.stdout == "[0, 0, 0, 0, 0]\n" and outcome.stderr == "", f"{outcome}")


WITHOUT_RIGHTS = SERVER + r"""
import subprocess
for number, flags in enumerate((os.O_PATH, os.O_WRONLY)):
    with connect() as connection:
        socket.send_fds(connection, [struct.pack("I508x", 1)], [os.open(f"true{number}", flags)])
        connection.recv(1000)
print([subprocess.run([f"./true{i}"]).returncode for i in range(2)])
"""


def case_clients_whose_descriptors_cannot_be_read(runner):
    """What such a one is told is told nobody else."""
    folder = runner.folder()
    for i in range(2):
        shutil.copy("/bin/true", os.path.join(folder, f"true{i}"))
    outcome = runner.execute(under_run(["python3", "-c", WITHOUT_RIGHTS], "--hook", "count:each"), folder)
    seen = {name for name, calls in counts(outcome.stderr) if calls.get("total", 0) > 10}
    check(outcome.stdout == "[0, 0]\n" and {"true0", "true1"} <= seen and "native" not in outcome.stderr, f"{outcome}")


TWO_FILES = SERVER + r"""
def held(): return len(os.listdir(f"/proc/{os.getppid()}/fd"))
before = held()
for i in range(50):
    with connect() as connection:
        socket.send_fds(connection, [struct.pack("I508x", 1)], [0, 1])
        connection.recv(1000)
print(held() - before < 10)
"""


def case_clients_that_send_two_files(runner):
    """The server takes one, and does not keep the other."""
    outcome = runner.execute(under_run(["python3", "-c", TWO_FILES]), runner.folder())
    check(outcome.stdout == "True\n", f"{outcome}")


BEGINS_TO_REPORT = SERVER + r"""
connection = connect()
connection.send(struct.pack("I508x", 4))
if os.fork() == 0:
    os.setsid()
    for output in 1, 2: os.close(output)
    end = time.monotonic() + 60
    while not os.path.exists("stop") and time.monotonic() < end: time.sleep(0.05)
    os._exit(0)
sys.exit(5)
"""


def case_a_client_that_begins_to_report_and_stops(runner):
    """run ends with its program, and not with whoever has such a connection: it waited for ever."""
    begun = time.monotonic()
    folder = runner.folder()
    write(folder, "run.sh", 'timeout 40 "$@"; echo $?; touch stop; sleep 0.5')
    outcome = runner.execute(["sh", "run.sh", *under_run(["python3", "-c", BEGINS_TO_REPORT])], folder)
    check(outcome.stdout == "5\n" and time.monotonic() - begun < 30, f"{outcome}")


def case_a_limit_of_two_processes(runner):
    """There is no room for a thread that rewrites, so whoever serves does it himself."""
    check(os.geteuid() == 0, "this test has to be another user, whom the limit concerns: run it as root")
    with tempfile.TemporaryDirectory(prefix="sysrewrite-two-") as folder:
        os.chmod(folder, 0o755)
        tools = [shutil.copy(tool, folder) for tool in (os.environ["SYSREWRITE"], SYSLOAD)]
        program = shutil.copy("/bin/echo", folder)
        outcome = runner.execute(
            ["setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups", "prlimit", "--nproc=2",
             tools[0], "run", "--no-cache", "--loader", tools[1], "--", program, "said"], runner.folder())
    check((outcome.status, outcome.stdout, outcome.stderr) == (0, "said\n", ""), f"{outcome}")


LIBRARY = r"""
long call_it(void) {
  long answer;
  __asm__ volatile("mov $39, %%eax\n syscall" : "=a"(answer) : : "rcx", "r11");
  return answer;
}
int which(void) { return WHICH; }
"""


def case_a_library_changed_within_a_tick(runner):
    """The same device, inode, size and times, and another content: the answer must be the new one's."""
    check(os.geteuid() == 0, "this test mounts a file system: run it as root")
    folder = runner.folder()
    for name, number in ("a", 1), ("b", 2):
        build(folder, f"{name}.so", LIBRARY, "-shared", "-fPIC", "-O1", f"-DWHICH={number}")
    build(folder, "changes", source_of("changes_a_library"), "-O1", "-pthread")
    os.mkdir(folder + "/now")
    # Others give each change a time of its own where somebody has looked at the last (Linux 6.13).
    coarse = ["unshare", "-m", "sh", "-c", "mount -t ramfs ramfs now && exec \"$@\"", "-"]
    for options in [], ["--no-cache"]:
        outcome = runner.execute([*coarse, *under_run(["./changes"], *options)], folder)
        check(outcome.stdout == "the same size, 0 wrong\n", f"{options}\n{outcome}")
        check(int(outcome.stderr) >= 5, f"{outcome.stderr} changes did not show in the times")


# A file that ends while it is read: half of it is kept by a mapping of the page cache, whose rest is gone.
SHORTENS = r"""
import ctypes, os, subprocess, sys, threading
big = open("big.so", "rb").read()
stop = threading.Event()
def shorten():
    while not stop.is_set():
        with open("now.so", "r+b") as file:
            file.truncate(4096 * 3)
            file.write(big)
thread = threading.Thread(target=shorten)
open("now.so", "wb").write(big)
thread.start()
for i in range(40):
    # In a child: a program that maps such a file can be killed natively, too.
    subprocess.run([sys.executable, "-c", "import ctypes; ctypes.CDLL('./now.so')"], capture_output=True)
stop.set()
thread.join()
os.execv("/bin/sh", ["sh", "-c", "grep -q memfd:sysrewrite /proc/self/maps && echo rewritten"])
"""


def case_a_library_that_is_shortened(runner):
    """What becomes of it concerns whoever maps it, and not the process behind `run`."""
    folder = runner.folder()
    code = "\n".join(f"int f{i}(int x) {{ return x * {i}; }}" for i in range(20000))
    build(folder, "big.so", LIBRARY + code, "-shared", "-fPIC", "-O0", "-DWHICH=1")
    outcome = runner.execute(under_run(["python3", "-c", SHORTENS], "--no-cache"), folder)
    check((outcome.status, outcome.stdout) == (0, "rewritten\n"), f"{outcome}")


WRITES = r"""
void _start(void) {
  long answer;
  __asm__ volatile("syscall" : "=a"(answer) : "a"(1), "D"(1), "S"("a\n"), "d"(2) : "rcx", "r11", "memory");
  __asm__ volatile("syscall" : : "a"(231), "D"(0));
}
"""


def case_more_programs_than_descriptors(runner):
    """As a build runs them, each once: the copies of those that are gone are given up."""
    folder = runner.folder()
    build(folder, "program", WRITES, "-static", "-nostdlib")
    for i in range(700):
        shutil.copy(os.path.join(folder, "program"), os.path.join(folder, f"p{i}"))
    time.sleep(0.2)  # before that they are not known by their times, and not kept
    outcome = runner.execute(["prlimit", "--nofile=500:500", *under_run(
        ["sh", "-c", "for i in $(seq 0 699); do ./p$i; done | grep -c a"], "--no-cache")], folder)
    check((outcome.stdout, outcome.stderr) == ("700\n", ""), f"{outcome}")
