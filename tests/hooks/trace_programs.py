#!/usr/bin/python3
"""Real programs under the trace hook and under strace.

    usage: trace_programs.py CASE

With SYSREWRITE and SYSLOAD in the environment. Two comparisons, by line:

apart   `strace -f` of the program, and the trace hook under `sysrewrite run` (or sysload itself) in
        another run. The calls of each process must be the same, in the same order, after the
        normalisations that are printed first, each with its reason. A run may differ from another
        by itself (who is first; how much a pipe holds): then both are tried again, four times.
within  one run: strace traces the run whose program the trace hook traces. Each line of the hook must
        be one of strace's for the same process, as often, with the same addresses, process
        numbers and times; only calls in SERVED, which sysload does not pass on as they are, may be
        others. For programs whose threads never do the same twice.
"""
import collections
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import trace_lines

SYSREWRITE = os.environ.get("SYSREWRITE", "")
SYSLOAD = os.environ.get("SYSLOAD", "")
HANG_SECONDS = 120
ATTEMPTS = 4

# What sysload does for the program in its own way, in a run that strace sees from below.
SERVED = {
    "rt_sigaction": "one handler serves all signals, and the program's are kept by sysload",
    "rt_sigreturn": "a signal's frame is made by sysload",
    "sigaltstack": "the handler's stack is sysload's",
    "execve": "it is done by another name, and is completed by the new program",
    "mmap": "of a library, the rewritten copy is mapped, whose descriptor and size are others",
    "clone": "threads begin in sysload, with flags of its own",
    "clone3": "the same",
    "vfork": "the same",
    "fork": "the same",
    "exit": "the stack of the thread is given back",
    "exit_group": "what is at the end of a run",
    "+++ exited with 0 +++": "the same",
    "readlink": "/proc/self/exe is the program's",
    "rt_sigprocmask": "a call that a signal comes before is begun anew",
}

PYTHON = "/usr/bin/python3"

THREADS = """
import threading, subprocess, os, time
def work(): time.sleep(.01)
threads = [threading.Thread(target=work) for _ in range(3)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
subprocess.run(['/bin/echo', 'x']); subprocess.run('exit 3', shell=True)
"""
FILES = r"""
import fcntl, os, resource, select, signal, socket, struct, sys
a, b = socket.socketpair()
socket.send_fds(a, [b'hi'], [0, 1]); socket.recv_fds(b, 10, 4)
a.sendmsg([b'ab', b'cd']); b.recvmsg(100)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', 0))
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR); s.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
s.sendto(b'x', s.getsockname()); s.recvfrom(10)
u = socket.socket(socket.AF_UNIX)
for name in ('/nonexistent', b'\0abc'):
    try: u.connect(name)
    except OSError: pass
e = select.epoll(); e.register(a.fileno(), select.EPOLLIN | select.EPOLLOUT); e.poll(1)
os.readv(os.open('/etc/passwd', 0), [bytearray(4), bytearray(4)])
os.writev(os.open('/dev/null', 1), [b'abc', b'd'])
f = os.open('file', os.O_RDWR | os.O_CREAT, 0o600); fcntl.lockf(f, fcntl.LOCK_EX)
fcntl.fcntl(f, fcntl.F_GETFL); fcntl.fcntl(f, fcntl.F_GETFD); os.ftruncate(f, 3); os.posix_fallocate(f, 0, 10)
os.sendfile(1, f, 0, 3); os.umask(0o22); os.getgroups(); os.getresuid()
signal.setitimer(0, 1, 2); signal.setitimer(0, 0); os.memfd_create('x'); os.getrandom(5); os.listdir('/etc/apt')
os.access('/x', 7); os.stat('/dev/null'); os.pipe2(os.O_CLOEXEC); os.mkfifo('fifo'); os.unlink('fifo'); os.times()
pid = os.fork()
if pid == 0: os._exit(3)
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT); os.wait4(pid, 0)
r, w = os.pipe(); p = select.poll(); p.register(r, 1); p.register(w, 4); p.poll(0); p.unregister(w); p.poll(10)
select.select([r], [w], [], 1); select.select([r], [], [], .01)
signal.pthread_sigmask(signal.SIG_BLOCK, [1, 2, 3]); signal.sigtimedwait([5], 0.01); os.kill(os.getpid(), 1)
signal.sigwaitinfo([1]); signal.sigpending(); os.statvfs('/proc'); os.getcwd(); os.utime('file', (1, 2))
os.link('file', 'link'); os.rename('link', 'other'); os.unlink('other'); os.uname(); resource.getrlimit(7)
os.sched_setaffinity(0, os.sched_getaffinity(0)); resource.getrusage(0)
"""
GO = """package main
import ("fmt"; "io"; "net"; "os"; "os/exec"; "time")
func main() {
  os.WriteFile("x", []byte("hi"), 0644)
  b, _ := os.ReadFile("x"); fmt.Println(string(b))
  l, _ := net.Listen("tcp", "127.0.0.1:0")
  go func() { c, _ := l.Accept(); io.Copy(c, c); c.Close() }()
  c, _ := net.Dial("tcp", l.Addr().String()); c.Write([]byte("abc")); c.Read(make([]byte, 3)); c.Close()
  out, _ := exec.Command("/bin/echo", "x").Output(); fmt.Print(string(out))
  time.Sleep(time.Millisecond)
}
"""

APART = {
    "bash": ["/bin/bash", "-c", "trap 'echo x' USR1; kill -USR1 $$; ls /etc/apt; (exit 3); "
             "cat /etc/hostname; for i in 1 2 3; do echo $i; done"],
    "git": ["/usr/bin/git", "-C", "tree", "status"],
    "python": [PYTHON, "-I", "-S", "-c", FILES],
    "tar": ["/bin/tar", "cf", "/dev/null", "/etc/apt"],
}
# A static program, rewritten, under sysload itself.
BUSYBOX = [
    ["ls", "-l", "/etc/apt"], ["cat", "/etc/hostname"], ["find", "/etc/apt"], ["wc", "/etc/passwd"],
    ["sh", "-c", "x=$((1 + 2)); echo $x; read y </etc/hostname; for z in a b; do echo $z; done; cd /; pwd"],
    ["sleep", "0.01"], ["mkdir", "-p", "a/b"], ["stat", "/etc/passwd"], ["df", "/nonexistent"], ["id"],
]
WITHIN = {
    "threads": [PYTHON, "-I", "-S", "-c", THREADS],
    "go": ["./program"],
    "bash_within": APART["bash"],
}


def run(command, place):
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(place), "TZ": "UTC", "LC_ALL": "C"}
    subprocess.run(command, cwd=place, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE, timeout=HANG_SECONDS, check=False)


def traced(place, command, prefix=()):
    output = place / "trace"
    output.unlink(missing_ok=True)
    run([*prefix, SYSREWRITE, "run", "--loader", SYSLOAD, "--hook", f"trace:output={output}", "--", *command], place)
    return output.read_text(errors="replace")


def straced(place, command):
    output = place / "strace"
    run(["/usr/bin/strace", "-f", "-o", output, *command], place)
    return output.read_text(errors="replace")


def under_sysload(place, command):
    output = place / "trace"
    output.unlink(missing_ok=True)
    run([SYSLOAD, "--hook", f"trace:output={output}", *command], place)
    return output.read_text(errors="replace")


def prepare(case, place):
    place.mkdir()
    if case == "git":
        subprocess.run(["/usr/bin/git", "init", "-q", "tree"], cwd=place, check=True)
        (place / "tree" / "file").write_text("x")
    if case == "go":
        (place / "main.go").write_text(GO)
        subprocess.run(["go", "build", "-o", "program", "main.go"], cwd=place, check=True,
                       env={**os.environ, "GOCACHE": str(place.parent / "gocache"), "GO111MODULE": "off"})


def explain(native, found):
    """The first process whose calls differ."""
    if set(native) != set(found):
        return f"processes of strace: {sorted(native)}\nprocesses of trace:  {sorted(found)}"
    for label in native:
        if native[label] != found[label]:
            return f"{label}:\n" + trace_lines.difference(native[label], found[label])
    return None


def busybox(place):
    """Each command of BUSYBOX, at the same path, unpatched and patched."""
    program = place / "busybox"
    results = []
    for command in BUSYBOX:
        def native():
            shutil.copy("/bin/busybox", program)
            return straced(place, ["./busybox", *command])

        def patched():
            subprocess.run([SYSREWRITE, "--no-interp", "/bin/busybox", program], check=True, capture_output=True)
            return under_sysload(place, ["./busybox", *command])

        results.append(same_calls(f"busybox {command[0]}", place, native, patched))
    return all(results)


def apart(case, place):
    return same_calls(case, place, lambda: straced(place, APART[case]), lambda: traced(place, APART[case]))


def same_calls(case, place, strace, trace):
    reason = None
    for _ in range(ATTEMPTS):
        shutil.rmtree(place, ignore_errors=True)
        prepare(case, place)
        native = trace_lines.labelled(strace())
        # The first program is there when the hook begins.
        native["TASK1"] = native["TASK1"][1:]
        shutil.rmtree(place)
        prepare(case, place)
        found = trace_lines.labelled(trace())
        reason = explain(native, found)
        lines = sum(map(len, native.values()))
        if reason is None:
            print(f"ok: {case}: {lines} calls of {len(native)} processes are the same")
            return lines > 10
        print(f"once more: {reason}")
    print(f"FAILED: {case}: {reason}")
    return False


def within(case, place):
    for call, reason in SERVED.items():
        print(f"may be another: {call}: {reason}")
    shutil.rmtree(place, ignore_errors=True)
    prepare(case, place)
    below = place / "strace"
    text = traced(place, WITHIN[case], ["/usr/bin/strace", "-f", "-o", str(below)])
    found = trace_lines.by_process(text)
    expected = trace_lines.by_process(below.read_text(errors="replace"))
    same, good = 0, True
    for process, lines in found.items():
        left = collections.Counter(map(blanks, expected.get(process, [])))
        for line in map(blanks, lines):
            if left[line] > 0:
                left[line] -= 1
                same += 1
            elif was_taken_up(line, left):
                same += 1
            elif line.split("(")[0] not in SERVED and "ERESTART" not in line and "EINTR" not in line:
                print(f"FAILED: {case}: strace does not have: {process} {line}")
                good = False
    print(f"{'ok' if good else 'FAILED'}: {case}: {same} lines of {len(found)} threads are strace's own")
    return good and same > 100


def was_taken_up(line, left):
    """A signal that another thread has taken wakes a sleeper up, and the kernel takes its call up again without coming
    back to the program: strace sees both halves, and who is in the program the whole."""
    call, _, result = line.rpartition(" = ")
    halves = (f"{call} = ? ERESTART_RESTARTBLOCK (Interrupted by signal)",
              f"restart_syscall(<... resuming interrupted {call.split('(')[0]} ...>) = {result}")
    if any(left[half] <= 0 for half in halves):
        return False
    for half in halves:
        left[half] -= 1
    return True


def blanks(line):
    """The column of the result follows from the call's second half, where it came in two."""
    return re.sub(r"\s+= ", " = ", line)


def main():
    case = sys.argv[1]
    if case not in WITHIN:
        trace_lines.list_normalisations()
    with tempfile.TemporaryDirectory(prefix="trace.") as directory:
        place = pathlib.Path(directory) / "place"
        if case == "busybox":
            good = busybox(place)
        elif case in APART:
            good = apart(case, place)
        else:
            good = within(case, place)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
