"""What a program inherits and lets go of: `run`, which was started in its place, hands it on and keeps nothing."""
import os
import select
import signal

from comparison import PYTHON, SYSLOAD, SYSREWRITE, check, check_nothing_left, under_run
from process_group import children_of, group_of, read_until


def same_around(runner, before, command, *, options=(), prepare=None, files=()):
    """As comparison.same(), of a command that another one executes, which run is executed by, too."""
    results = []
    for words in (command, under_run(command, *options)):
        folder = runner.folder(prepare)
        outcome = runner.execute([*before, *words], folder, timeout=60)
        for name in files:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                outcome.stdout += file.read()
        results.append(outcome)
    native, ours = results
    check((native.status, native.stdout, native.stderr) == (ours.status, ours.stdout, ours.stderr),
          f"{before} {command}\n=== natively\n{native}\n=== under run\n{ours}")
    return ours


CLOSED = """
import os, sys
for number in sys.argv[1]: os.close(int(number))
os.execvp(sys.argv[2], sys.argv[2:])
"""
# Where no standard file is free for it.
WHICH = ("exec 9>report; for n in 0 1 2; do [ -e /proc/$$/fd/$n ] && echo $n is open >&9; done; echo printed; "
         "/bin/echo printed; cat /proc/self/comm; exec 9>&-; exit 5")


def case_started_without_standard_files(runner):
    """Their numbers are not those of files of run's own, and are as free to the program as natively."""
    for closed in ("0", "1", "2", "01", "02", "12", "012"):
        every = [(), ("--hook", "trace:output=calls")]
        # What hooks say, too, has nowhere to go then.
        if "2" in closed:
            every += [("--hook", "trace"), ("--no-cache", "--hook", "count", "--hook", "trace:output=calls")]
        for options in every:
            outcome = same_around(runner, [PYTHON, "-c", CLOSED, closed], ["bash", "-c", WHICH], options=options,
                                  files=["report"])
            check(outcome.status == 5 and ("2" in closed or "2 is open" in outcome.stdout), f"{closed}: {outcome}")
            if "trace:output=calls" in options:
                with open(os.path.join(runner.folders[-1], "calls"), encoding="utf-8") as calls:
                    check("system calls of" not in calls.read(), f"{closed}: a table of calls in another file")


def check_ends(pipe):
    """There is nothing more to read, although the program goes on."""
    check(select.select([pipe], [], [], 20)[0] and os.read(pipe, 1) == b"", "somebody has the pipe open")


def check_unread(pipe):
    """Nobody is left who could read."""
    poll = select.poll()
    poll.register(pipe, 0)
    check(poll.poll(20000) and poll.poll()[0][1] & select.POLLERR, "somebody has the pipe open")


def case_files_that_are_let_go(runner):
    """Whoever reads a pipe sees its end as soon as the program closes it, not when it ends."""
    script = ("exec 7<>go; echo started; exec <&- >&- 5>&-; flock -n 9 true; exec 9>&-; read line <&7; "
              "flock -n lock true; exit $((3 + $?))")
    folder = runner.folder(lambda folder: os.mkfifo(folder + "/go"))
    script_around = "exec 9>lock; flock 9; exec \"$@\""
    more_read, more_write = os.pipe()
    command = ["bash", "-c", f"exec 5>&{more_write} {more_write}>&-; " + script_around, "bash",
               *under_run(["bash", "-c", script])]
    with group_of(command, folder, pass_fds=[more_write]) as process:
        os.close(more_write)
        read_until(process.stdout.fileno(), b"started")
        for pipe in (process.stdout.fileno(), more_read):
            check_ends(pipe)
        check_unread(process.stdin.fileno())
        with open(folder + "/go", "w", encoding="ascii") as go:
            go.write("on\n")
        check(process.wait(60) == 3, f"the lock is still held: {process.returncode}")
    os.close(more_read)
    check_nothing_left("files that are let go")


def case_record_locks(runner):
    """They stay a process's across execve; run has them for the program, which could not keep them."""
    lock = ("import fcntl, os, sys\nfile = open('locked', 'w+'); fcntl.lockf(file, fcntl.LOCK_EX)\n"
            "os.set_inheritable(file.fileno(), True)\nos.execvp(sys.argv[1], sys.argv[1:])\n")
    other = ("import fcntl\ntry: fcntl.lockf(open('locked', 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB); print('free')\n"
             "except OSError as error: print(error.errno)\n")
    command = [PYTHON, "-c", f"import subprocess\nsubprocess.call(['{PYTHON}', '-c', \"\"\"{other}\"\"\"])"]
    outcome = same_around(runner, [PYTHON, "-c", lock], command)
    check(outcome.stdout == "11\n", f"{outcome}")


def case_relative_paths(runner):
    """Of the loader, of hooks and what they write: they name what they named when run was started."""
    def prepare(folder):
        os.mkdir(folder + "/at")
        os.symlink(SYSLOAD, folder + "/at/loader")

    folder = runner.folder(prepare)
    script = "cd /; /bin/echo one; sh -c '/bin/echo two'"
    for loader in ("./loader", "../at/loader"):
        outcome = runner.execute(["sh", "-c", "cd at && exec \"$@\"", "sh", SYSREWRITE, "run", "--loader", loader,
                                  "--hook", "trace:output=calls", "--", "sh", "-c", script], folder)
        with open(folder + "/at/calls", encoding="utf-8") as calls:
            text = calls.read()
        check((outcome.status, outcome.stdout, outcome.stderr) == (0, "one\ntwo\n", "") and "two" in text,
              f"{loader}: {outcome}\n{text}")
    # And the folder itself is let go of.
    mounted = ("mount -t tmpfs none at && cd at && exec \"$@\"")
    script = "cd / && umount \"$OLDPWD\" && echo unmounted"
    outcome = same_around(runner, ["unshare", "-m", "sh", "-c", mounted, "sh"], ["bash", "-c", script],
                          prepare=prepare, options=["-q"])
    check(outcome.stdout == "unmounted\n", f"{outcome}")


TIMER = ("import os, signal, sys\nsignal.setitimer(getattr(signal, sys.argv[1]), 0.3)\n"
         "os.execvp(sys.argv[2], sys.argv[2:])\n")


def case_timers(runner):
    """They go on across execve, and end the program, whose end run reports."""
    for which, name in (("ITIMER_REAL", "SIGALRM"), ("ITIMER_VIRTUAL", "SIGVTALRM"), ("ITIMER_PROF", "SIGPROF")):
        ours = same_around(runner, [PYTHON, "-c", TIMER, which], ["bash", "-c", "for ((i = 0; i < 30000000; i++)); do :; done"])
        check(ours.status == 128 + getattr(signal, name), f"{which}: {ours}")


REAPER = ("import ctypes, os, sys\nctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"  # PR_SET_CHILD_SUBREAPER
          "os.execvp(sys.argv[1], sys.argv[1:])\n")
ADOPTS = ("import os\nif os.fork() == 0:\n    if os.fork() == 0: os._exit(5)\n    os._exit(5)\n"
          "print([os.wait()[1] for _ in range(2)])\n")


def case_a_reaper_of_orphans(runner):
    """A process that was made one is one after execve, and so is the program."""
    ours = same_around(runner, [PYTHON, "-c", REAPER], [PYTHON, "-c", ADOPTS])
    check(ours.stdout == "[1280, 1280]\n", f"{ours}")


def case_run_is_killed(runner):
    """Natively it is the program that is killed then."""
    with group_of(under_run(["sh", "-c", "echo started; exec sleep 1000"]), runner.folder()) as process:
        read_until(process.stdout.fileno(), b"started")
        program = children_of(process.pid)[0]
        process.kill()
        process.wait()
        # Its output ends with it.
        try:
            check_ends(process.stdout.fileno())
        finally:
            if os.path.exists(f"/proc/{program}"):
                os.kill(program, signal.SIGKILL)
    check_nothing_left("run is killed")
