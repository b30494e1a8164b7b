"""What strace says about the files that a program uses: the records that the hook `files` ought to write.

It is the witness, so it shares nothing with the hook: not the table of calls, not the walk of paths.
Strings are taken in hexadecimal (-xx), descriptors and AT_FDCWD with the names that strace reads from
/proc (-y).
"""
import os
import re
import subprocess

CALLS = ("%file,getdents,getdents64,bind,connect,sendto,sendmsg,fchdir,fchmod,fchown,fsetxattr,"
         "fremovexattr,clone,clone3,fork,vfork,io_uring_setup")

NO_RECORD = {"EFAULT", "ENOSYS", "EBADF", "EMFILE", "ENFILE", "ENOMEM", "ENOTSOCK", "EAFNOSUPPORT"}

# name: ((what, argument of the path, argument of its directory), ...)
TABLE = {
    "open": (("open", 0, None),), "creat": (("open", 0, None),),
    "openat": (("open", 1, 0),), "openat2": (("open", 1, 0),),
    "stat": (("test", 0, None),), "lstat": (("test", 0, None),), "newfstatat": (("test", 1, 0),),
    "statx": (("test", 1, 0),), "access": (("test", 0, None),), "faccessat": (("test", 1, 0),),
    "faccessat2": (("test", 1, 0),), "statfs": (("test", 0, None),),
    "getxattr": (("test", 0, None),), "lgetxattr": (("test", 0, None),),
    "listxattr": (("test", 0, None),), "llistxattr": (("test", 0, None),),
    "name_to_handle_at": (("test", 1, 0),),
    "readlink": (("readlink", 0, None),), "readlinkat": (("readlink", 1, 0),),
    "execve": (("execute", 0, None),), "execveat": (("execute", 1, 0),),
    "truncate": (("write", 0, None),),
    "chdir": (("enter", 0, None),), "chroot": (("enter", 0, None),),
    "mkdir": (("create", 0, None),), "mkdirat": (("create", 1, 0),),
    "mknod": (("create", 0, None),), "mknodat": (("create", 1, 0),),
    "symlink": (("create", 1, None),), "symlinkat": (("create", 2, 1),),
    "unlink": (("delete", 0, None),), "rmdir": (("delete", 0, None),), "unlinkat": (("delete", 1, 0),),
    "rename": (("rename-from", 0, None), ("rename-to", 1, None)),
    "renameat": (("rename-from", 1, 0), ("rename-to", 3, 2)),
    "renameat2": (("rename-from", 1, 0), ("rename-to", 3, 2)),
    "link": (("link", 0, None), ("create", 1, None)), "linkat": (("link", 1, 0), ("create", 3, 2)),
    "chmod": (("change", 0, None),), "fchmodat": (("change", 1, 0),), "fchmodat2": (("change", 1, 0),),
    "chown": (("change", 0, None),), "lchown": (("change", 0, None),), "fchownat": (("change", 1, 0),),
    "utime": (("change", 0, None),), "utimes": (("change", 0, None),),
    "utimensat": (("change", 1, 0),), "futimesat": (("change", 1, 0),),
    "setxattr": (("change", 0, None),), "lsetxattr": (("change", 0, None),),
    "removexattr": (("change", 0, None),), "lremovexattr": (("change", 0, None),),
    "fchmod": (("change", None, 0),), "fchown": (("change", None, 0),),
    "fsetxattr": (("change", None, 0),), "fremovexattr": (("change", None, 0),),
    "fchdir": (("enter", None, 0),),
    "getdents": (("list", None, 0),), "getdents64": (("list", None, 0),),
    "inotify_add_watch": (("watch", 1, None),),
}
KNOWN_WITHOUT_RECORD = {"clone", "clone3", "fork", "vfork", "io_uring_setup", "getcwd"}


class Call:
    def __init__(self, tid, name, arguments, result, error):
        self.tid, self.name, self.arguments, self.result, self.error = tid, name, arguments, result, error


def unhex(text):
    return re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), text.encode())


def split_arguments(text):
    arguments, depth, current, quoted = [], 0, "", False
    for c in text:
        if c == '"':
            quoted = not quoted
        elif not quoted and c in "{[<(":
            depth += 1
        elif not quoted and c in "}]>)":
            depth -= 1
        if c == "," and depth == 0 and not quoted:
            arguments.append(current.strip())
            current = ""
        else:
            current += c
    arguments.append(current.strip())
    return arguments


LINE = re.compile(r"(\w+)\((.*)\) += (-?\d+|\?)(?:<[^>]*>)?(?: ([A-Z]+) \()?")


def parse(lines):
    """Yields ("begin", tid, name) where a call was interrupted in the log, and every finished Call."""
    unfinished = {}
    for line in lines:
        tid, _, rest = line.rstrip("\n").partition(" ")
        rest = rest.strip()
        if rest.endswith("<unfinished ...>"):
            unfinished[tid] = rest[:-len("<unfinished ...>")].rstrip()
            yield "begin", tid, unfinished[tid].split("(")[0]
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", rest)
        if resumed:
            rest = unfinished.pop(tid, "") + " " + resumed[1].strip()
        found = LINE.match(rest)
        if found:
            yield "end", tid, Call(tid, found[1], split_arguments(found[2]), found[3], found[4])


def string(argument):
    found = re.match(r'"([^"]*)"', argument)
    return unhex(found[1]) if found else None


def descriptor(argument):
    found = re.search(r"<(.*)>$", argument)
    name = unhex(found[1]) if found else None
    if name is not None and name.endswith(b"(deleted)"):
        name = name[:-len(b"(deleted)")].rstrip()
    return name


class Directories:
    """The working directory of each thread; one cell where they share it."""

    def __init__(self, first):
        self.first, self.cells, self.pending = first, {}, None

    def cell(self, tid):
        if tid not in self.cells:
            parent = self.cells.get(self.pending)
            self.cells[tid] = [parent[0] if parent else self.first]
        return self.cells[tid]

    def started(self, tid, child, shared):
        self.cells[child] = self.cell(tid) if shared else self.cells.get(child, [self.cell(tid)[0]])


def open_kind(call):
    flags = call.arguments[2 if call.name in ("openat", "openat2") else 1]
    if call.name == "creat":
        flags = "O_WRONLY|O_CREAT|O_TRUNC"
    flags = set(re.findall(r"O_\w+|__O_TMPFILE", flags))
    if flags & {"O_PATH", "O_DIRECTORY", "O_TMPFILE", "__O_TMPFILE"}:
        return "test"
    kind = "read"
    if "O_WRONLY" in flags or "O_RDONLY" in flags and "O_TRUNC" in flags:
        kind = "write"
    if "O_RDWR" in flags:
        kind = "read-write"
    if "O_CREAT" in flags:
        return "create" if "O_EXCL" in flags else "perhaps-create:" + kind
    return kind


def kind_of(what, call):
    error = call.error
    if error is None:
        if call.result == "?":
            return None
        if what == "list":
            return "list" if call.result != "0" else None
        return {"open": lambda: open_kind(call), "readlink": lambda: "read"}.get(what, lambda: what)()
    if error in NO_RECORD or what == "list" or error.startswith("ERESTART"):
        return None
    if error in ("ENOENT", "ENOTDIR"):
        return "missing"
    if error in ("EEXIST", "EADDRINUSE") and what in ("open", "create"):
        return "test"
    if error == "EINVAL" and what == "readlink":
        return "test"
    if error == "EINTR":
        return "connect" if what == "connect" else None
    if error in ("ENODATA", "ERANGE", "EOVERFLOW", "EOPNOTSUPP") and what == "test":
        return "test"
    if error in ("EINPROGRESS", "EAGAIN") and what == "connect":
        return "connect"
    return "failed"


def records_of(call, directory):
    if call.name in ("bind", "connect", "sendto", "sendmsg"):
        found = re.search(r'sun_path="([^"]*)"', " ".join(call.arguments))
        if found:
            what = "create" if call.name == "bind" else "connect"
            yield kind_of(what, call), os.path.join(directory, unhex(found[1]))
        return
    rows = TABLE.get(call.name)
    if rows is None:
        if call.name not in KNOWN_WITHOUT_RECORD:
            raise SystemExit(f"strace shows {call.name}, which this witness does not know")
        return
    for what, path, base in rows:
        kind = kind_of(what, call)
        if kind is None:
            continue
        base_name = directory if base is None else descriptor(call.arguments[base])
        if path is None:
            if base_name and base_name.startswith(b"/"):
                yield kind, base_name
            continue
        name = string(call.arguments[path])
        if name is None or name == b"" and what == "test":
            continue
        if name == b"":
            if call.error is None and base_name and base_name.startswith(b"/"):
                yield kind, base_name
            continue
        if not name.startswith(b"/") and base_name is None:
            continue
        if len(rows) == 2 and call.error is not None or call.name == "execve" and kind == "missing":
            kind = "unsuccessful"
        yield kind, os.path.join(base_name or b"/", name)


def records(lines, directory):
    """The set of (kind, path), paths as bytes, joined but not made normal."""
    found = set()
    directories = Directories(os.fsencode(directory))
    for event, tid, what in parse(lines):
        clones = ("clone", "clone3", "fork", "vfork")
        if event == "begin":
            if what in clones:
                directories.pending = tid
            continue
        cell = directories.cell(tid)
        for kind, path in records_of(what, cell[0]):
            if kind is not None:
                found.add((kind, path))
        if what.error is not None or what.result == "?":
            continue
        if what.name in clones:
            directories.started(tid, what.result, "CLONE_FS" in " ".join(what.arguments))
        elif what.name == "chdir":
            cell[0] = os.path.realpath(os.path.join(cell[0], string(what.arguments[0])))
        elif what.name == "fchdir":
            cell[0] = descriptor(what.arguments[0])
    return found


def trace(command, log, **options):
    result = subprocess.run(["strace", "-f", "-qq", "-y", "-xx", "-s", "8192", "-e", "signal=none", "-o", log,
                             "-e", "trace=" + CALLS, "--", *command], **options)
    return result
