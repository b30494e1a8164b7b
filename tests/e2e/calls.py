#!/usr/bin/python3
"""calls.py GROUP...: each program makes the same system calls, unpatched and patched.

`strace -ff` writes what each thread calls. The threads of two runs are matched by who created them,
in which order. A patched program's calls count from behind sysload's last own one, which is
prctl(PR_SET_MM, PR_SET_MM_MAP): for each program that it execs, too. What is left must be the same
calls, with the same arguments and results, in the same order in each thread, after the
normalisations that `calls.py --list` shows, each with its reason.

Two unpatched runs of a program that waits for others differ too: a signal arrives a call earlier or
later. So a thread may do what it did in any of several unpatched runs, but nothing else.
"""
import collections
import os
import pathlib
import re
import shutil
import sys

import e2e
from cases import GROUPS

ATTEMPTS = 8

NORMALISATIONS = []


def normalisation(function):
    NORMALISATIONS.append(function)
    return function


class Call:
    """One line of a trace: a call with its arguments and result, or an event (name "---")."""

    def __init__(self, name, arguments, result):
        self.name = name
        self.arguments = arguments
        self.result = result

    def __str__(self):
        if self.name in ("---", "+++"):
            return f"{self.name} {self.arguments}"
        return f"{self.name}({self.arguments}) = {self.result}"

    def substitute(self, pattern, replacement):
        self.arguments = re.sub(pattern, replacement, self.arguments)
        self.result = re.sub(pattern, replacement, self.result)


# --- Normalisations --------------------------------------------------------------------------------
# Each takes a call, the task it belongs to and the run. Their first line is their reason.


@normalisation
def heap_from_its_start(call, task, run):
    """Where the heap starts is random, and follows the load address: brk counts from there."""
    if call.name != "brk":
        return
    if call.arguments == "NULL":
        task.heap = int(call.result, 16)
    for field in ("arguments", "result"):
        value = getattr(call, field)
        if value.startswith("0x"):
            setattr(call, field, f"heap{int(value, 16) - task.heap:+d}")


@normalisation
def addresses(call, task, run):
    """Stacks, mappings and PIEs lie at random addresses, and sysload and the trampoline among them."""
    call.substitute(r"\b0x[0-9a-f]{5,16}\b", "ADDRESS")


@normalisation
def tasks(call, task, run):
    """The kernel numbers processes and threads as it likes: each goes by who created it, and when."""

    def label(match):
        number = int(match.group(0))
        return run.labels.get(number) or run.labels.get(-number, match.group(0))

    if call.name in TASK_CALLS:
        call.substitute(r"-?\b\d+\b", label)
    call.arguments = re.sub(r"(?<=/proc/)\d+", label, call.arguments)
    call.arguments = re.sub(r"(?<=si_pid=)\d+", label, call.arguments)
    # In words too: "kill 123", "123 (bash) S 1", what came through a pipe.
    call.arguments = re.sub(r'"[^"]*"', lambda word: re.sub(r"\b\d{3,}\b", label, word.group(0)),
                            call.arguments)


TASK_CALLS = {
    "clone", "clone3", "fork", "vfork", "getpid", "gettid", "getppid", "getpgrp", "getpgid",
    "setpgid", "getsid", "setsid", "kill", "tkill", "tgkill", "wait4", "waitid", "ioctl",
    "set_tid_address", "rt_sigreturn", "rt_sigqueueinfo", "prlimit64", "sched_getaffinity", "rt_tgsigqueueinfo",
}


@normalisation
def times(call, task, run):
    """Clocks, and what is left of a wait, differ on each run."""
    if call.name in ("clock_gettime", "gettimeofday", "getrusage", "times", "wait4", "waitid",
                     "getitimer", "sysinfo", "timerfd_gettime", "time", "utimensat", "utimes"):
        call.substitute(r" /\* [-\d:T+.]+ \*/", "")
        call.substitute(r"\b(tv_sec|tv_nsec|tv_usec|tms_\w+|it_\w+|uptime|loads|\w*ram|\w*swap|"
                        r"procs|ru_\w+)=(\{[^}]*\}|\[[^]]*\]|\d+)", r"\1=TIME")
        if call.name in ("times", "time"):
            call.result = "TIME"
    if call.name in ("nanosleep", "clock_nanosleep"):
        head, _, tail = call.arguments.rpartition(", ")
        if tail.startswith("tv_nsec"):
            head, _, _ = head.rpartition(", ")
            call.arguments = head + ", REMAINING"
        if "TIMER_ABSTIME" in call.arguments:
            call.substitute(r"tv_n?sec=\d+", "TIME")
    if call.name in ("select", "pselect6", "ppoll", "poll"):
        call.result = re.sub(r"\bleft \{.*?\}", "left TIME", call.result)
        # bash asks for the rest of the time that it was given.
        call.arguments = re.sub(r"\btv_nsec=[1-9]\d*", "tv_nsec=REST", call.arguments)
    if call.name in ("setitimer",):
        call.arguments = re.sub(r"(?<=\}\}), \{.*$", ", OLD", call.arguments)
    # What a child has used.
    call.substitute(r"\bsi_[us]time=\d+", "USED")


@normalisation
def random_bytes(call, task, run):
    """Random numbers, and the names of temporary files that are made of them."""
    if call.name == "getrandom":
        call.arguments = re.sub(r'"[^"]*"(\.\.\.)?', "RANDOM", call.arguments)
    call.arguments = re.sub(r"/(sh-thd\.|tmpf|tmpfile_|sh-np[-.]?)\w+", r"/\1RANDOM", call.arguments)


@normalisation
def ports(call, task, run):
    """The kernel chooses the port of a socket that asks for any."""
    call.arguments = re.sub(r"(?<=_port=htons\()[1-9]\d*", "PORT", call.arguments)


@normalisation
def event_cookies(call, task, run):
    """The number that a program has attached to an epoll event may be an address, in decimal."""
    call.arguments = re.sub(r"\bu(32|64)=\d+", r"u\1=COOKIE", call.arguments)
    call.arguments = re.sub(r"\bdata=(0x[0-9a-f]+|ADDRESS)", "data=COOKIE", call.arguments)


@normalisation
def actions_of_sigtrap(call, task, run):
    """sysload serves poisoned sites by SIGTRAP: a program that asks sees its handler, and puts it back."""
    if call.name == "rt_sigaction" and call.arguments.startswith("SIGTRAP"):
        call.arguments = "SIGTRAP, ACTIONS"


@normalisation
def free_space(call, task, run):
    """What else is going on in the file system."""
    if call.name in ("statfs", "fstatfs"):
        call.substitute(r"\b(f_bfree|f_bavail|f_ffree)=\d+", r"\1=FREE")


@normalisation
def writers_gone(call, task, run):
    """Whether a pipe's writer has ended by the time that its reader, who still has bytes to read, polls."""
    if call.name in ("poll", "ppoll"):
        call.result = call.result.replace("POLLIN|POLLHUP", "POLLIN")


# Each of these takes all calls of a task, and gives back those that count.

SEQUENCE_NORMALISATIONS = []


def sequence_normalisation(function):
    SEQUENCE_NORMALISATIONS.append(function)
    return function


@sequence_normalisation
def reads_of_proc(calls):
    """/proc/PID/maps shows sysload and the trampoline, stat addresses and times: how much was read."""
    descriptor = None
    for call in calls:
        if call.name in ("open", "openat") and re.search(r'"/proc/.*/(maps|stat|status)"', call.arguments) and \
                call.result.isdigit():
            descriptor = call.result
        elif descriptor and call.name == "read" and call.arguments.startswith(descriptor + ","):
            continue
        elif descriptor and call.name == "close" and call.arguments == descriptor:
            descriptor = None
        yield call


@sequence_normalisation
def streams(calls):
    """How much of a stream a reader finds at once depends on its writer: reads in a row are summed."""
    previous = None
    for call in calls:
        descriptor = call.arguments.split(",")[0]
        if call.name == "read" and call.result.isdigit():
            if previous is not None and previous.descriptor == descriptor:
                previous.at_end = call.result == "0"
                previous.result = str(int(previous.result) + int(call.result))
                continue
            if previous is not None:
                yield previous
            previous = Call("reads", descriptor, call.result)
            previous.descriptor = descriptor
            previous.at_end = call.result == "0"
            continue
        if previous is not None:
            yield previous
            previous = None
        yield call
    if previous is not None:
        yield previous


@sequence_normalisation
def arenas(calls):
    """glibc cuts a thread's arena out of twice its size, where an alignment happens to lie."""
    near = 0
    for call in calls:
        if call.name == "mmap" and call.arguments.startswith("NULL, 134217728,"):
            near = 3
        near -= 1
        if near >= 0 and call.name == "munmap":
            continue
        yield call


@sequence_normalisation
def looking_again(calls):
    """A program that waits for another to fall asleep looks into /proc again and again: once."""
    calls = list(calls)
    i = 0
    while i < len(calls):
        if calls[i].name in ("open", "openat") and "/proc/TASK" in calls[i].arguments:
            block = [str(call) for call in calls[i:i + 3]]
            while [str(call) for call in calls[i + 3:i + 6]] == block:
                i += 3
        yield calls[i]
        i += 1


# --- What is left out ------------------------------------------------------------------------------

# Of threads: whether one has to wait for another, or finds the lock free, depends on who runs first.
THREAD_EXCLUDED = {"futex": "whether a thread must wait for another depends on who runs first"}

# Of shells: each child ends when it likes.
SHELL_EXCLUDED = {
    "wait4": "whether a child has ended when its parent looks; who was reaped, how, is compared",
    "rt_sigreturn": "the end of a handler for SIGCHLD, which arrives at any call",
    "rt_sigprocmask": "bash keeps SIGCHLD away while it looks at who has ended",
    "read": "how much of a pipe there is at once; the sum for each descriptor is compared",
    "write": "the same",
    "reads": "the same",
    "sendfile": "the same",
}

# Of Go: the runtime starts, parks and wakes its own threads as its monitor finds them busy.
GO_EXCLUDED = {
    "futex": "the runtime parks and wakes its threads",
    "nanosleep": "its monitor sleeps between two looks",
    "sched_yield": "spinning for work",
    "epoll_pwait": "whoever has nothing to do polls the network",
    "clone": "a thread is started where one blocks for too long",
    "exit": "a thread that is not needed any more",
    "sigaltstack": "each thread has one",
    "rt_sigprocmask": "around the start of each thread, and at its end",
    "gettid": "each thread asks",
    "rt_sigreturn": "the end of a handler for SIGCHLD, in whichever thread",
    "restart_syscall": "a sleep that a signal interrupted",
    "read": "a reader that finds nothing yet asks again, and how much it finds at once differs",
    "reads": "the same",
    "splice": "the same for copies between descriptors",
    "pipe2": "for splice, where none is left over",
    "wait4": "whether a child has ended when its parent looks",
    "waitid": "the same",
}


# --- Traces ------------------------------------------------------------------------------------------

LINE = re.compile(r"^(\w+)\((.*)\)\s+= (.*)$")


def parse(line):
    if line.startswith("---") or line.startswith("+++"):
        return Call(line[:3], line[4:-4].strip(), "")
    match = LINE.match(line)
    if match:
        return Call(*match.groups())
    # A call that never came back: the thread was killed in it.
    return Call(line.split("(")[0], line.split("(", 1)[-1], "never")


class Task:
    def __init__(self, number, heap):
        self.number = number
        self.heap = heap  # where it starts: a child's is its parent's
        self.calls = []


class Run:
    """The traces of one run: tasks by label, calls normalised, sysload's own ones cut off."""

    def __init__(self, files, program, patched):
        raw = {number: [parse(line) for line in text.splitlines() if line]
               for number, text in files.items()}
        # Before anything is changed: calls are taken apart again.
        self.raw = {number: [parse(line) for line in text.splitlines() if line]
                    for number, text in files.items()}
        self.labels = {}
        first = self.first(raw)
        self.label(raw, first, "1")
        # Whoever started the first task, and the process group that it found itself in.
        for call in raw[first]:
            if call.name in ("getppid", "getpgrp", "getsid", "getpgid") and call.result.isdigit():
                self.labels.setdefault(int(call.result), "OUTSIDE")
        self.tasks = {}
        self.heaps = {}
        self.cut = 0
        for number, label in list(self.labels.items()):
            if number not in raw:
                continue
            parent = self.heaps.get(label.rpartition(".")[0], 0)
            task = Task(number, parent)
            for image in self.images(raw[number]):
                if patched:
                    image = self.without_loader(image)
                if image and image[0].name == "execve" and not self.is_ours(image[0], program):
                    image = image[:1]  # other programs, which are native in both runs
                for call in image:
                    for normalise in NORMALISATIONS:
                        normalise(call, task, self)
                    task.calls.append(call)
            for normalise in SEQUENCE_NORMALISATIONS:
                task.calls = list(normalise(task.calls))
            self.tasks[label] = task.calls
            self.heaps[label] = task.heap
        self.unlabelled = sorted(set(raw) - set(self.labels))

    @staticmethod
    def first(raw):
        created = {int(call.result.split()[0]) for calls in raw.values() for call in calls
                   if call.name in ("clone", "clone3", "fork", "vfork")
                   and call.result.split()[0].isdigit()}
        return min(number for number in raw if number not in created)

    def label(self, raw, number, label):
        self.labels[number] = "TASK" + label
        children = 0
        for call in raw.get(number, []):
            if call.name in ("clone", "clone3", "fork", "vfork"):
                child = call.result.split()[0]
                if child.isdigit() and int(child) not in self.labels:
                    children += 1
                    self.label(raw, int(child), f"{label}.{children}")

    @staticmethod
    def images(calls):
        """The calls of a task, split before each execve that went well."""
        image = []
        for call in calls:
            if call.name == "execve" and call.result == "0":
                yield image
                image = []
            image.append(call)
        yield image

    @staticmethod
    def is_ours(execve, program):
        return execve.arguments.startswith((f'"{program}"', '"/proc/self/exe"'))

    def without_loader(self, image):
        for i, call in enumerate(image):
            if call.name == "prctl" and call.arguments.startswith("PR_SET_MM, PR_SET_MM_MAP,"):
                self.cut += 1
                return image[:1] + image[i + 1:]
        return image

    def sequences(self, schedule):
        if schedule == "shell":
            return {label: tuple(shell_calls(calls)) for label, calls in self.tasks.items()}
        excluded = THREAD_EXCLUDED if schedule == "threads" else {}
        return {label: tuple(str(call) for call in calls if call.name not in excluded)
                for label, calls in self.tasks.items()}

    def multiset(self, excluded):
        """All calls of all tasks: names with arguments that are no descriptor."""
        counts = collections.Counter()
        for calls in self.tasks.values():
            for call in calls:
                if call.name not in excluded and call.name not in ("---", "+++"):
                    counts[re.sub(r"\b\d+\b", "N", f"{call.name}({call.arguments})")] += 1
        return counts


def shell_calls(calls):
    """The calls of a shell or its child, but for what follows from when a child ran or ended."""
    reaped = []
    moved = collections.Counter()
    unfinished = set()
    # A writer whose reader goes first writes as often as it finds time, and a reader that goes
    # before the end has read what there was.
    broken = any(call.result.startswith("-1 EPIPE") for call in calls)
    for call in calls:
        descriptor = call.arguments.split(",")[0]
        if call.name == "wait4" and call.result.startswith("TASK"):
            reaped.append(f"reaped {call.result}: {call.arguments.split(', ')[1]}")
        if call.name in ("read", "write", "reads", "sendfile"):
            key = f"{call.name[:5].replace('reads', 'read')} {descriptor}"
            if call.result.isdigit():
                moved[key] += int(call.result)
                # `streams` has added up reads, but the last one of a file's end gives 0.
                if call.name == "reads" and not call.at_end:
                    unfinished.add(key)
                else:
                    unfinished.discard(key)
        if call.name in SHELL_EXCLUDED or str(call).startswith(("--- SIGCHLD", "--- SIGCONT")):
            continue
        # A call that a signal interrupted, and that is made again.
        if call.result.startswith("? ERESTART"):
            continue
        # head gives back what it has read too much, where that can be.
        if call.name == "lseek" and "ESPIPE" in call.result:
            continue
        yield str(call)
    yield from sorted(reaped)
    for key, total in sorted(moved.items()):
        if key in unfinished or (broken and key.startswith("write")):
            continue
        yield f"{key}: {total} bytes in all"


def trace(place, case, argv, patched):
    place.fresh_work()
    traces = place.root / "traces"
    shutil.rmtree(traces, ignore_errors=True)
    traces.mkdir()
    # On one processor: then most of what happens between processes happens in one order.
    processors = sorted(os.sched_getaffinity(0))
    one = str(processors[os.getpid() % len(processors)])
    strace = ["/usr/bin/taskset", "-c", one, "/usr/bin/strace", "-ff", "-qqq", "-s", "64", "-o", traces / "t", "-e", "signal=all"]
    env = place.environment(**case.env)
    if case.terminal is not None:
        outcome = e2e.run_on_terminal([*strace, *argv], place.work, env, case.terminal)
    else:
        with e2e.filled(case.stdin) as stdin:
            outcome = e2e.run([*strace, *argv], place.work, env, stdin)
    files = {int(path.suffix[1:]): path.read_text(errors="replace") for path in traces.iterdir()}
    run = Run(files, argv[0], patched)
    run.outcome = outcome
    return run


# --- Comparing ---------------------------------------------------------------------------------------


def matches(sequences, natives):
    """Each task did what it did in one of the unpatched runs, and the tasks are the same."""
    if not any(set(sequences) == set(native) for native in natives):
        return False
    return all(any(native.get(label) == calls for native in natives)
               for label, calls in sequences.items())


def explain(sequences, natives):
    native = natives[0]
    lines = []
    if set(sequences) != set(native):
        lines.append(f"tasks unpatched {sorted(native)}, patched {sorted(sequences)}")
    for label in sorted(sequences):
        if label in native and not any(other.get(label) == sequences[label] for other in natives):
            lines.append(f"{label}:")
            lines += e2e.difference(list(native[label]), list(sequences[label]), 24)
    return "\n".join(lines[:120])


def compare_sequences(report, name, case, run_native, run_patched):
    natives = [run_native().sequences(case.schedule)]
    for attempt in range(ATTEMPTS):
        patched = run_patched()
        sequences = patched.sequences(case.schedule)
        if patched.cut == 0:
            report.check(False, f"{name} {case.name}: sysload ends its start with PR_SET_MM_MAP")
            return
        if matches(sequences, natives):
            break
        if attempt + 1 < ATTEMPTS:
            natives += [run_native().sequences(case.schedule) for _ in range(2)]
            if matches(sequences, natives):
                break
    total = sum(len(calls) for calls in sequences.values())
    report.check(matches(sequences, natives),
                 f"{name} {case.name}: {total} calls of {len(sequences)} tasks are the same",
                 explain(sequences, natives))


def compare_multisets(report, name, case, run_native, run_patched):
    natives = [run_native().multiset(GO_EXCLUDED)]
    for attempt in range(ATTEMPTS):
        patched = run_patched()
        counts = patched.multiset(GO_EXCLUDED)
        if patched.cut == 0:
            report.check(False, f"{name} {case.name}: sysload ends its start with PR_SET_MM_MAP")
            return
        if counts in natives:
            break
        if attempt + 1 < ATTEMPTS:
            natives += [run_native().multiset(GO_EXCLUDED) for _ in range(2)]
    difference = [f"{counts[key] - natives[0][key]:+d} {key}"
                  for key in sorted(set(counts) | set(natives[0])) if counts[key] != natives[0][key]]
    report.check(counts in natives,
                 f"{name} {case.name}: {sum(counts.values())} calls are the same, in some order",
                 "\n".join(difference[:60]))


def group(report, name):
    program, cases = GROUPS[name]
    name = pathlib.Path(program).name
    e2e.need(pathlib.Path(program).exists(), f"{program} exists")
    with e2e.Place() as place:
        result = e2e.rewrite(program, place.root / "patched")
        if not e2e.check_rewriting(report, name, result):
            return
        for case in cases:
            if case.schedule == "go free":
                continue  # behaviour.py runs it; its calls follow the number of processors

            def once(source, patched):
                place.install(source, name)
                return trace(place, case, [place.bin / name, *case.argv], patched)

            compare = compare_multisets if case.schedule == "go" else compare_sequences
            try:
                compare(report, name, case, lambda: once(program, False),
                        lambda: once(place.root / "patched", True))
            except e2e.Hang as hang:
                report.check(False, f"{name} {case.name}: ends", hang)


def print_list():
    print("Normalised:")
    for function in NORMALISATIONS + SEQUENCE_NORMALISATIONS:
        print(f"  {function.__name__.replace('_', ' ')}: {function.__doc__.splitlines()[0]}")
    print("Left out where a program has threads:")
    for call, reason in THREAD_EXCLUDED.items():
        print(f"  {call}: {reason}")
    print("Left out of shells, like the arrival of SIGCHLD and SIGCONT and calls that they interrupt:")
    for call, reason in SHELL_EXCLUDED.items():
        print(f"  {call}: {reason}")
    print("Left out of Go programs, whose other calls are compared in any order:")
    for call, reason in GO_EXCLUDED.items():
        print(f"  {call}: {reason}")


def main():
    if sys.argv[1:] == ["--list"]:
        print_list()
        return
    e2e.need_tools()
    print_list()
    report = e2e.Report()
    for name in sys.argv[1:]:
        group(report, name)
    report.end()


if __name__ == "__main__":
    main()
