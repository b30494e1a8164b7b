"""Reading and comparing the output of the trace hook and of `strace -f -o`."""
import collections
import difflib
import re

NORMALISATIONS = []


def normalisation(function):
    NORMALISATIONS.append(function)
    return function


class Call:
    def __init__(self, name, arguments, result):
        self.name = name
        self.arguments = arguments
        self.result = result

    def __str__(self):
        return f"{self.name}({self.arguments}) = {self.result}"

    def substitute(self, pattern, replacement):
        self.arguments = re.sub(pattern, replacement, self.arguments)
        self.result = re.sub(pattern, replacement, self.result)


# --- Normalisations ----------------------------------------------------------------------------------
# Their first line is their reason. `labels` gives the name of each process by who created it.


@normalisation
def addresses(call, labels):
    """Stacks, heaps and mappings lie at random addresses."""
    call.substitute(r"\b0x[0-9a-f]{5,16}\b", "ADDRESS")


@normalisation
def tasks(call, labels):
    """The kernel numbers processes as it likes: each goes by who created it, and when."""

    def label(match):
        number = int(match.group(0))
        return labels.get(number) or labels.get(-number, match.group(0))

    if call.name in TASK_CALLS:
        call.substitute(r"-?\b\d+\b", label)
    call.arguments = re.sub(r"(?<=/proc/)\d+", label, call.arguments)
    call.arguments = re.sub(r"(?<=[^f]_pid=)\d+", label, call.arguments)
    call.arguments = re.sub(r'"[^"]*"', lambda word: re.sub(r"\b\d{3,}\b", label, word.group(0)),
                            call.arguments)


TASK_CALLS = {
    "clone", "clone3", "fork", "vfork", "getpid", "gettid", "getppid", "getpgrp", "getpgid",
    "setpgid", "getsid", "setsid", "kill", "tkill", "tgkill", "wait4", "waitid", "ioctl",
    "set_tid_address", "rt_sigreturn", "prlimit64", "sched_getaffinity", "pidfd_open",
}


@normalisation
def times(call, labels):
    """Clocks, and what is left of a wait, differ on each run."""
    call.substitute(r"\b(tv_sec|tv_nsec|tv_usec)=-?\d+( /\* [^*]* \*/)?", r"\1=TIME")
    call.substitute(r"\b(tms_\w+|uptime|loads|\w*ram|\w*swap|procs|si_[us]time)=(\[[^]]*\]|\d+)( /\* [^*]* \*/)?",
                    r"\1=TIME")
    if call.name in ("times", "time"):
        call.result = "TIME"


@normalisation
def random_bytes(call, labels):
    """Random numbers, and the names of temporary files that are made of them."""
    if call.name == "getrandom":
        call.arguments = re.sub(r'"[^"]*"(\.\.\.)?', "RANDOM", call.arguments)
    call.arguments = re.sub(r"/(sh-thd\.|tmpf|tmpfile_|sh-np[-.]?)\w+", r"/\1RANDOM", call.arguments)


@normalisation
def ports(call, labels):
    """The kernel chooses the port of a socket that asks for any."""
    call.arguments = re.sub(r"(?<=_port=htons\()[1-9]\d*", "PORT", call.arguments)


@normalisation
def event_cookies(call, labels):
    """The number that a program has attached to an epoll event may be an address, in decimal."""
    call.arguments = re.sub(r"\bu(32|64)=\d+", r"u\1=COOKIE", call.arguments)


@normalisation
def environment(call, labels):
    """The run that is traced has a variable or two of its own."""
    if call.name in ("execve", "execveat"):
        call.arguments = re.sub(r"/\* \d+ vars? \*/", "/* VARS */", call.arguments)


@normalisation
def ends_of_pipes(call, labels):
    """Whether a pipe's writer has ended already depends on who runs first."""
    if call.name in ("poll", "ppoll"):
        call.result = re.sub(r"revents=POLLIN\|POLLHUP", "revents=POLLIN", call.result)


@normalisation
def interrupted(call, labels):
    """strace sees the kernel's own numbers of a call that a signal interrupted; the program, EINTR."""
    if re.match(r"\? ERESTART|-1 EINTR", call.result):
        call.result = "interrupted"


@normalisation
def free_space(call, labels):
    """What else is going on in the file system."""
    call.substitute(r"\b(f_bfree|f_bavail|f_ffree)=\d+", r"\1=FREE")


@normalisation
def sizes_of_directories(call, labels):
    """How much a directory holds: on some file systems its size counts what is in it, and the runs differ in their output."""
    call.substitute(r"(st_mode=S_IFDIR\|[^,]*, (?:st_size|stx_size)=)\d+", r"\1SIZE")
    call.substitute(r"(st_nlink=)\d+(, .*S_IFDIR)", r"\1LINKS\2")


# --- Reading -----------------------------------------------------------------------------------------

LINE = re.compile(r"^(\d+) +(.*)$")
CALL = re.compile(r"^(\w+)\((.*)\)\s+= (.*)$")
RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)$")


def whole_lines(text):
    """(process, line) of each line, calls that came in two parts put together where they end."""
    begun = {}
    for line in text.splitlines():
        match = LINE.match(line)
        if not match:
            yield None, line
            continue
        process, rest = int(match.group(1)), match.group(2)
        if process in begun and begun[process].startswith("execve") and "resumed>" not in rest:
            # The new program is not traced from its first call on, or not by the same.
            yield process, begun.pop(process) + ") = ?"
        if rest.endswith("<unfinished ...>"):
            begun[process] = rest[:-len("<unfinished ...>")].rstrip(" ")
            continue
        resumed = RESUMED.match(rest)
        if resumed:
            head = begun.pop(process, resumed.group(1) + "(")
            tail = resumed.group(2)
            # strace leaves a blank behind a comma.
            rest = head + (" " if head.endswith(",") else "") + tail
        yield process, rest
    for process, rest in begun.items():
        yield process, rest + ") = ?"


def by_process(text, keep_signals=False):
    processes = collections.OrderedDict()
    for process, line in whole_lines(text):
        if process is None:
            raise ValueError(f"no line of a trace: {line!r}")
        if line.startswith("---") and not keep_signals:
            continue
        if line.startswith("+++") and "exited" not in line:
            continue
        processes.setdefault(process, []).append(line)
    return processes


def parse(line):
    match = CALL.match(line)
    return Call(*match.groups()) if match else Call(line, "", "")


# Calls that are not compared between two runs.
LEFT_OUT = {"rt_sigreturn": "the end of a handler for SIGCHLD, which arrives at any call, and may interrupt it"}

CREATORS = ("clone", "clone3", "fork", "vfork")


def labelled(text):
    """The calls of each process by its label, as text, normalised."""
    raw = {process: [parse(line) for line in lines] for process, lines in by_process(text).items()}
    labels = {}

    def label(process, name):
        labels[process] = name
        children = 0
        for call in raw.get(process, []):
            child = call.result.split()[0] if call.result else ""
            if call.name in CREATORS and child.isdigit() and int(child) not in labels:
                children += 1
                label(int(child), f"{name}.{children}")

    created = {int(call.result.split()[0]) for calls in raw.values() for call in calls
               if call.name in CREATORS and call.result.split()[0].isdigit()}
    first = next(process for process in raw if process not in created)
    label(first, "TASK1")
    for call in raw[first]:
        if call.name in ("getppid", "getpgrp", "getsid", "getpgid") and call.result.isdigit():
            labels.setdefault(int(call.result), "OUTSIDE")
    result = {}
    for process, calls in raw.items():
        for call in calls:
            for normalise in NORMALISATIONS:
                normalise(call, labels)
        result[labels.get(process, f"?{process}")] = [
            str(call) for call in calls if call.name not in LEFT_OUT and call.result != "interrupted"]
    return result


def difference(expected, found, most=40):
    return "\n".join(list(difflib.unified_diff(expected, found, "strace", "trace", lineterm="", n=1))[:most])


def list_normalisations():
    for call, reason in LEFT_OUT.items():
        print(f"left out: {call}: {reason}")
    for function in NORMALISATIONS:
        print(f"normalised: {function.__name__.replace('_', ' ')}: {function.__doc__.splitlines()[0]}")
