"""Jobs that stop and go on, and keys of a terminal: `run` does as its program does."""
import os
import pty
import shlex
import signal
import subprocess
import time

from comparison import PYTHON, Failure, check, check_nothing_left, environment, under_run
from process_group import SIGNALLED, children_of, group_of, read_until, state_of, wait_for_state

SLOW_TO_STOP = r"""
strace -qq -o strace -e trace=tgkill -e inject=tgkill:delay_enter=300000 "$@" &
for i in $(seq 100); do
  run=$(pgrep -P $!); program=$(pgrep -P ${run:-0} -x sleep) && break; sleep 0.05
done
kill -STOP $program; sleep 0.05; kill -CONT $program
for i in $(seq 200); do kill -0 $program 2>/dev/null || break; sleep 0.05; done
sleep 0.5; kill -0 $run 2>/dev/null && echo "run is still there" && kill -KILL $run
wait $!; echo $?; grep -q SIGSTOP strace && echo stopped
"""


def case_a_program_that_goes_on_before_run_has_stopped(runner):
    """run stops with its program; one signal to go on was not enough where it came too early."""
    outcome = runner.execute(["bash", "-c", SLOW_TO_STOP, "-", *under_run(["sleep", "2"])], runner.folder())
    check((outcome.stdout, outcome.stderr) == ("0\nstopped\n", ""), f"{outcome}")


def case_stopping_and_going_on(runner):
    """When the program stops, `run` stops, and SIGCONT to `run` starts both."""
    folder = runner.folder()
    script = "kill -STOP $$; echo on; kill -STOP $$; echo again; exit 8"
    with subprocess.Popen(under_run(["bash", "-c", script]), stdout=subprocess.PIPE, cwd=folder,
                          env=environment(folder), start_new_session=True) as process:
        for word in (b"on", b"again"):
            wait_for_state(process.pid, "T", "run")
            process.send_signal(signal.SIGCONT)
            read_until(process.stdout.fileno(), word)
        check(process.wait(60) == 8, "status 8")
    check_nothing_left("stopping")


def case_the_signal_that_stopped_it(runner):
    """Whoever waits for run sees it stopped by the signal that has stopped the program."""
    for number in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
        # In a group beside this one, in its session: another one nobody could make go on, and it would not stop.
        command = under_run(["sh", "-c", "echo ready; exec sleep 100"])
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=runner.folder(), env=environment("/"),
                              preexec_fn=os.setpgrp) as process:
            try:
                read_until(process.stdout.fileno(), b"ready")
                process.send_signal(number)
                wait_for_state(process.pid, "T", "run")
                stopped = os.waitpid(process.pid, os.WUNTRACED | os.WNOHANG)[1]
                check(os.WIFSTOPPED(stopped) and os.WSTOPSIG(stopped) == number,
                      f"by {stopped >> 8}, and not {number}")
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGTERM)
                check(process.wait(60) == 128 + signal.SIGTERM, "status 143")
            finally:
                os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
    check_nothing_left("stopping")


def case_going_on_after_a_stop_of_all(runner):
    """The whole group is stopped, and `run` alone is told to go on: the program does."""
    folder = runner.folder()
    script = "echo started; read line; echo on; exit 9"
    with group_of(under_run(["bash", "-c", script]), folder) as process:
        read_until(process.stdout.fileno(), b"started")
        for _ in range(5):
            os.killpg(process.pid, signal.SIGSTOP)
            wait_for_state(process.pid, "T", "run")
            process.send_signal(signal.SIGCONT)
            wait_for_state(children_of(process.pid)[0], "SR", "the program")
        process.stdin.write(b"\n")
        process.stdin.flush()
        read_until(process.stdout.fileno(), b"on", 20)
        check(process.wait(60) == 9, "status 9")
    check_nothing_left("stopping")


def in_terminal(runner, command):
    """Starts a command in a terminal of its own; the terminal's other end and the pid."""
    folder = runner.folder()
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execve(command[0], command, environment(folder, {"TERM": "dumb"}))
    return pid, master


def end_of(pid, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done == pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            raise Failure("does not end")
        time.sleep(0.02)


def case_keys_of_the_terminal(runner):
    pid, master = in_terminal(runner, under_run([PYTHON, "-c", SIGNALLED]))
    read_until(master, b"ready")
    os.write(master, b"\x03")
    seen = read_until(master, b"got SIGINT")
    os.write(master, b"\x1c")
    seen += read_until(master, b"got SIGQUIT")
    check(seen.count(b"SIGINT") == 1, f"once pressed, once seen: {seen}")
    os.kill(pid, signal.SIGTERM)
    check(end_of(pid) == 11, "status 11")
    pid, master = in_terminal(runner, under_run(["sleep", "100"]))
    time.sleep(1)
    os.write(master, b"\x03")
    check(end_of(pid) == 130, "sleep ends by Ctrl-C")
    check_nothing_left("terminal")


def case_a_terminal_that_is_hung_up(runner):
    """The kernel tells the leader of its session alone, which run is in the program's place."""
    script = "trap 'exit 3' HUP; echo rea''dy; for i in $(seq 600); do sleep 0.1; done"
    pid, master = in_terminal(runner, under_run(["bash", "-c", script]))
    read_until(master, b"ready")
    program = children_of(pid)
    os.close(master)
    try:
        check(end_of(pid, 20) == 3, "the program has heard nothing")
    finally:
        for left in program:
            if os.path.exists(f"/proc/{left}"):
                os.kill(left, signal.SIGKILL)
    check_nothing_left("hang up")


def case_job_control_in_a_terminal(runner):
    """An interactive shell that runs `run` as a job, and one inside `run`."""
    for outer in (True, False):
        shell = ["/bin/bash", "--norc", "--noprofile", "-i"]
        pid, master = in_terminal(runner, shell if outer else under_run(shell))
        run = " ".join(under_run([])) if outer else ""
        os.write(master, b"PS1=; stty -echo; echo re''ady\n")
        read_until(master, b"ready\r\n")
        os.write(master, f"{run} sh -c 'echo star''ted; sleep 1000'\n".encode())
        read_until(master, b"started")
        for _ in range(5):
            time.sleep(0.3)
            os.write(master, b"\x1a")
            read_until(master, b"Stopped")
            os.write(master, b"jobs; fg\n")
            read_until(master, b"sleep 1000")
        time.sleep(0.3)
        os.write(master, b"\x03")
        os.write(master, b"echo status $?\nexit 3\n")
        read_until(master, b"status 130")
        check(end_of(pid) == 3, "the shell ends")
        check_nothing_left("job control")


LEADER = "import os, sys; os.setpgid(0, 0); print('wai'+'ting', flush=True); print('re'+'ad', sys.stdin.readline())"
ASKS = "sh -c 'echo wai''ting; read line; echo re''ad $line'"
# What stands for run, or nothing, and what is typed once the text before has come.
GROUPS = (
    ("what it asks is answered", (f"RUN timeout 60 {ASKS}; echo is $?", "waiting", "a line", "is 0")),
    ("Ctrl-C", ("RUN timeout 60 sh -c 'trap \"exit 4\" INT; echo wai''ting; while :; do sleep 0.1; done'; echo is $?",
                "waiting", "\x03", "is 4")),
    ("Ctrl-C in a pipeline", ("RUN timeout 60 sh -c 'echo wai''ting; exec sleep 100' | cat", "waiting", "\x03", "\r\n", "", "", "",
                              "", "echo is $?", "is ")),
    ("Ctrl-Z", (f"RUN {PYTHON} -c \"{LEADER}\"", "waiting", "\x1a", "Stopped", "fg; echo is $?", "", "a line", "is 0")),
    ("it goes on behind, and comes back",
     (f"RUN {PYTHON} -c \"{LEADER}\" &", "waiting", "sleep 1; jobs", "Stopped", "fg; echo is $?", "", "a line",
      "is 0")),
)


def type_in(master, steps):
    """Types each first one of two, and waits for the other."""
    for typed, awaited in zip(steps[::2], steps[1::2]):
        time.sleep(0.3)
        if typed:
            os.write(master, typed.encode() + (b"" if typed < " " else b"\n"))
        if awaited:
            read_until(master, awaited.encode(), 20)


def case_programs_that_lead_a_group(runner):
    """timeout makes itself the leader of a process group: natively it is one already, where a shell started it for a terminal."""
    wrong = []
    for what, steps in GROUPS:
        for run in "", shlex.join(under_run([])), shlex.join(under_run([], "--hook", "pass:entry:exit")):
            pid, master = in_terminal(runner, ["/bin/bash", "--norc", "--noprofile", "-i"])
            try:
                type_in(master, ("PS1=; stty -echo; echo re''ady", "ready\r\n"))
                type_in(master, [step.replace("RUN", run) for step in steps])
                type_in(master, ("exit 3", ""))
                check(end_of(pid, 20) == 3, "the shell does not end")
            except Failure as failure:
                wrong.append(f"{what}, {run or 'natively'}: {failure}")
                os.kill(pid, signal.SIGHUP)
                os.close(master)
    check(not wrong, "\n".join(wrong))
    check_nothing_left("groups")


def case_a_program_that_ignores_the_stop_key(runner):
    """Ctrl-Z does not stop a program that handles it, and so it must not stop `run`."""
    script = ("import signal, sys, time\n"
              "signal.signal(signal.SIGTSTP, lambda *a: print('ts'+'tp', flush=True))\n"
              "print('rea'+'dy', flush=True)\nsys.stdin.readline()\nprint('re'+'ad', flush=True)\n")
    # A shell around it: a process group that nobody could wake is never stopped.
    pid, master = in_terminal(runner, ["/bin/bash", "--norc", "--noprofile", "-i"])
    os.write(master, b"PS1=; stty -echo; echo pre''pared\n")
    read_until(master, b"prepared\r\n")
    os.write(master, (shlex.join(under_run([PYTHON, "-u", "-c", script.replace("\n", ";").replace(
        ";;", ";")])) + "\n").encode())
    read_until(master, b"ready")
    job = children_of(pid)[0]
    os.write(master, b"\x1a")
    read_until(master, b"tstp")
    time.sleep(0.5)
    state = state_of(job)
    os.kill(job, signal.SIGCONT)
    os.write(master, b"line\nfg\n")
    time.sleep(0.5)
    os.write(master, b"exit 3\n")
    try:
        check(state != "T", "run is stopped while the program is not")
    finally:
        os.kill(job, signal.SIGKILL) if os.path.exists(f"/proc/{job}") else None
        os.kill(pid, signal.SIGHUP)
        end_of(pid)
    check_nothing_left("stop key")
