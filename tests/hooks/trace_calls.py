#!/usr/bin/python3
"""Every call, as strace prints it.

    usage: trace_calls.py CALL_ASKER TRACE_ASKED DIRECTORY

The same calls are made under strace by call_asker, whose filter answers each with ENOSYS, and given to
the trace hook by trace_asked, in an ordinary process; then the same again with 0, as if each had succeeded,
and what the kernel fills in is then what was there. Each line must be the same, to the blank. The
arguments are numbers of all kinds, in each position those that 32 bits or a sign change, addresses of a page
with numbers in it, and, for flags, each bit.

DIFFERENT names what differs, with its reason; what is named and does not differ is a mistake too.
"""
import errno
import pathlib
import random
import re
import subprocess
import sys

PAGE = 0x10000000
END = PAGE + 16 * 4096  # of what is mapped there
ONES = (1 << 64) - 1
# Where a number is cut to 32 bits, or taken for a signed or an unsigned one, one of these differs.
WIDE = [0x180000005, 0x80000000, 3000000000, 0x7fffffffffffffff]

# The calls that strace 6.1 knows, and that the filter can answer: 335 (uretprobe) is answered before.
NUMBERS = [n for n in (*range(335), *range(424, 451)) if n not in (15, 60, 219, 231)]

# Arguments that are flags, or a value with a name: (number, arguments with one X).
NAMED = [
    (2, "0 X 0"), (21, "0 X"), (10, "0 0 X"), (9, "0 0 0 X 0 0"), (25, "0 0 0 X 0"), (26, "0 0 X"),
    (28, "0 0 X"), (30, "0 0 X"), (46, "0 0 X"), (48, "0 X"), (56, "X 1 0 0 0"), (272, "X"),
    (308, "0 X"), (61, "0 0 X 0"), (62, "0 X"), (73, "0 X"), (97, "X 0"), (98, "X 0"), (140, "X 0"),
    (146, "X"), (151, "X"), (165, "0 0 0 X 0"), (166, "0 X"), (36, "X 0"), (228, "X 0"), (8, "0 0 X"),
    (233, "0 X 0 0"), (263, "0 0 X"), (332, "0 0 X 0 0"), (332, "0 0 0 X 0"), (439, "0 0 0 X"),
    (303, "0 0 0 0 X"), (428, "0 0 X"), (429, "0 0 0 0 X"), (442, "0 0 X 0 0"), (432, "0 0 X"),
    (433, "0 0 X"), (14, "X 0 0 0"), (276, "0 0 0 X"), (277, "0 0 0 X"), (285, "0 X 0 0"),
    (221, "0 0 0 X"), (283, "0 X"), (230, "0 X 0 0"), (289, "0 0 0 X"), (290, "0 X"), (291, "X"),
    (294, "X"), (254, "0 0 X"), (316, "0 0 0 0 X"), (318, "0 0 X"), (317, "X 0 0"), (325, "0 0 X"),
    (327, "0 0 0 0 0 X"), (330, "0 X"), (324, "X 0 0"), (324, "0 X 7"), (426, "0 0 0 X 0 0"), (436, "0 0 X"), (247, "X 0 0 0 0"),
    (188, "0 0 0 0 X"), (135, "X"), (72, "0 X 0"), (101, "X 0 0 0"), (157, "X 1 0 0 0"),
    *((158, f"{option} X") for option in (*range(0x1001, 0x1005), 0x1011, 0x1012, 0x1021, 0x1022, 0x1024,
                                          *range(0x2001, 0x2004), *range(0x4001, 0x4005), *range(0x5001, 0x5006),
                                          0x100001003, 0x100001011)),
    (157, "0x41555856 X 1 2 3"), *((72, f"3 {command} X") for command in range(1024, 1041)),
    (157, f"X {ONES} 2 3 4"), (157, f"X {PAGE} {PAGE} 3 {PAGE}"), (157, "62 1 2 X 0"), (202, "0 X 0 0 0 0"),
    (7, f"{PAGE} 1 0"), (16, "0 X 0"), (41, "X 0 0"), (41, "1 X 0"), (41, "2 0 X"), (41, "16 0 X"),
    (54, "0 1 X 0 0"), (54, "0 6 X 0 0"), (54, "0 41 X 0 0"), (54, "0 0 X 0 0"), (54, "0 X 0 0 0"),
    *((157, f"{option} X 3 3 0") for option in (1, 4, 22, 23, 26, 28, 33, 35, 47, 52, 53, 59, 62, 0x53564d41, 0x59616d61)),
    (72, "3 0 X"), (424, "3 9 0 X"), (434, "1 X"), (319, "0 X"), (238, "X 0 0"),
    *((157, f"{option} {first} X 1 2") for option, first in ((22, 2), (33, 1), (47, 2), (53, 0), (62, 1), (0x53564d41, 0))),
]
# The same in a structure: (number, arguments, words of the page), with an X in either.
NAMED_INSIDE = [
    (7, f"{PAGE} 1 0", "4:X"), (233, f"0 1 0 {PAGE}", "0:X"), (13, f"1 {PAGE} 0 8", "0:4096 8:X"),
    (131, f"{PAGE} 0", "0:1 8:X 16:8192"), (72, f"0 6 {PAGE}", "0:X"), (435, f"{PAGE} 88", "0:X"),
    (437, f"0 0 {PAGE} 24", "16:X"), (437, f"0 0 {PAGE} 24", "0:X"), (437, f"0 0 {PAGE} 40", "24:X"),
    (437, f"0 0 {PAGE} X", "4088:5"), (437, f"0 0 {END - 24} 40", ""), (435, f"{PAGE} 112", "96:X"),
    (72, f"0 15 {PAGE}", "0:X"),
    # Control data: descriptors and who sends them, time stamps.
    *((46, f"3 {PAGE}",
       f"32:{PAGE + 256} 40:{16 + size} 256:{16 + size} 264:{kind << 32 | 1} 272:X 280:X 288:7 296:X 304:X 312:8")
      for kind, size in ((1, 8), (2, 12), (4, 4), (29, 16), (35, 16), (37, 48), (63, 16), (64, 16), (65, 48), (29, 8), (37, 32))),
    (129, f"7 10 {PAGE}", "0:0x500000001 8:0 16:X"), (129, f"7 10 {PAGE}", "0:X 8:X 16:X 24:X"),
    (129, f"7 10 {PAGE}", "0:31 8:1 24:0xc000003e00000003"),
    (435, f"{PAGE} 88", f"64:{PAGE + 256} 72:X 256:0x8000000000000007"), (435, f"{END - 88} 96", ""),
    (16, f"0 0x5402 {PAGE}", "0:X"), (16, f"0 0x5402 {PAGE}", "8:X"), (240, f"0 64 0 {PAGE}", "0:X"),
    (245, f"0 {PAGE} {PAGE}", "0:X 8:X 16:X 24:X"),
]

# Calls with a structure that has many fields: each is made with some random ones.
STRUCTURES = [
    *((31, f"0 {command} {PAGE}") for command in (1, 2, 3, 13, 14, 15)),
    *((66, f"0 0 {command} {PAGE}") for command in (1, 2, 3, 12, 13, 16, 17, 18, 19, 20)),
    *((71, f"0 {command} {PAGE}") for command in (1, 2, 3, 11, 12, 13)),
    (159, PAGE), (305, f"0 {PAGE}"), (27, f"0 20000 {PAGE}"), (27, f"0 {1 << 40} {PAGE}"), (274, f"0 {PAGE} {PAGE + 8}"),
    *((72, f"3 {command} {PAGE}") for command in (15, 16)), *((54, f"3 0 {option} {PAGE} 8") for option in (35, 36)),
    (69, f"0 {PAGE} 9 0"), (70, f"0 {PAGE} 9 0 0"),
]

# Names that strace 6.1 does not know yet: a line with one of them is not compared, but each must be seen.
NEWER = (
    "MADV_GUARD_INSTALL MADV_GUARD_REMOVE MAP_DROPPABLE PIDFD_THREAD PIDFD_SIGNAL_THREAD PIDFD_SIGNAL_THREAD_GROUP "
    "PIDFD_SIGNAL_PROCESS_GROUP SO_PASSPIDFD SO_PEERPIDFD SO_DEVMEM_LINEAR SO_DEVMEM_DMABUF SO_DEVMEM_DONTNEED "
    "SO_RCVPRIORITY SO_PASSRIGHTS RWF_NOAPPEND RWF_ATOMIC RWF_DONTCACHE STATX_MNT_ID_UNIQUE STATX_SUBVOL "
    "STATX_WRITE_ATOMIC STATX_DIO_READ_ALIGN STATX_ATTR_WRITE_ATOMIC AT_HANDLE_FID AT_HANDLE_MNT_ID_UNIQUE "
    "AT_HANDLE_CONNECTABLE F_DUPFD_QUERY F_CREATED_QUERY F_GET_RW_HINT F_SET_RW_HINT F_GET_FILE_RW_HINT "
    "F_SET_FILE_RW_HINT F_SEAL_EXEC SCHED_EXT MPOL_WEIGHTED_INTERLEAVE MEMBARRIER_CMD_GET_REGISTRATIONS TCP_AO_ADD_KEY "
    "TCP_AO_DEL_KEY TCP_AO_INFO TCP_AO_GET_KEYS TCP_AO_REPAIR TCP_IS_MPTCP IPPROTO_SMC IP_LOCAL_PORT_RANGE IP_PROTOCOL "
    "MOVE_MOUNT_BENEATH FSCONFIG_CMD_CREATE_EXCL MFD_NOEXEC_SEAL MFD_EXEC SCM_PIDFD PR_SET_MDWE PR_GET_MDWE "
    "PR_SET_MEMORY_MERGE PR_GET_MEMORY_MERGE PR_GET_AUXV ARCH_GET_UNTAG_MASK ARCH_ENABLE_TAGGED_ADDR "
    "ARCH_GET_MAX_TAG_BITS ARCH_FORCE_TAGGED_SVA ARCH_SHSTK_ENABLE ARCH_SHSTK_DISABLE ARCH_SHSTK_LOCK "
    "ARCH_SHSTK_UNLOCK ARCH_SHSTK_STATUS").split()

DIFFERENT = {}
for reason, calls in {
    "what the argument points to is not shown, or not all of it":
        "io_submit io_cancel set_thread_area get_thread_area _sysctl mq_notify "
        "kexec_load migrate_pages move_pages set_mempolicy get_mempolicy "
        "perf_event_open name_to_handle_at open_by_handle_at sched_setattr bpf io_pgetevents io_uring_setup "
        "mount_setattr landlock_create_ruleset futex_waitv sched_setaffinity",
    "numbers and not names":
        "ptrace syslog swapon reboot quotactl quotactl_fd ioprio_set ioprio_get keyctl kcmp kexec_file_load "
        "add_key request_key landlock_add_rule mbind seccomp io_uring_register "
        "delete_module",
    "what other architectures have": "prctl",
    "flags that were none then": "pidfd_send_signal",
    "which bits are unknown is said otherwise":
        "clone shmctl semctl msgctl semget msgget memfd_secret fanotify_init fanotify_mark "
        "io_uring_enter",
    "options and addresses of rare families": "setsockopt sendmsg bind socket",
    "of nonsense, the first bytes are shown nevertheless":
        "setxattr lsetxattr fsetxattr sethostname setdomainname setgroups mount fsconfig select pselect6 "
        "timer_create",
    "the commands of devices": "ioctl",
}.items():
    for call in calls.split():
        DIFFERENT[call] = reason

# What differs only where the call succeeds.
for reason, calls in {
    "what the kernel filled in is not shown, or not all of it":
        "sched_getattr io_getevents clone3",
    "never 0": "lookup_dcookie",
    "addresses of rare families": "getsockname",
    "of nonsense, the first bytes are shown nevertheless": "listxattr llistxattr flistxattr",
}.items():
    for call in calls.split():
        DIFFERENT[call] = reason

NEWER_NAMES = re.compile(rf"\b({'|'.join(NEWER)})\b")

CLASSES = ("%file %process %network %net %signal %ipc %desc %memory %stat %lstat %fstat %%stat %statfs %fstatfs "
           "%%statfs %creds %clock %pure all none openat,%signal !%file !openat,close ?nonsense,read 3,close "
           "file !none").split()


def words(value, size=64):
    return " ".join(f"{offset}:{value()}" for offset in range(0, size, 8))


def questions():
    """For each line of the file: the number and six arguments, and words for the page."""
    rng = random.Random(1)
    small = [0, 1, 2, 3, 4, 8, 16, 17, 32, 1000, PAGE, PAGE + 8, PAGE + 64]
    contents = (lambda: 0, lambda: rng.choice(small), lambda: rng.getrandbits(64))
    patterns = ([0] * 6, [ONES] * 6, [3, 2, 1, 3, 2, 1], [0, PAGE, 8, PAGE + 64, 8, 8], [PAGE] * 6,
                [PAGE, 8, PAGE + 16, 8, PAGE, 8], [3, PAGE, 4, PAGE + 32, 16, 8],
                [1, PAGE, PAGE + 16, PAGE + 40, PAGE, 8])
    for number in NUMBERS:
        for pattern in patterns:
            for value in contents:
                yield f"{number} {' '.join(map(str, pattern))} {words(value)}"
        for others in (0, 1):
            for position in range(6):
                for value in WIDE:
                    arguments = [others] * 6
                    arguments[position] = value
                    yield f"{number} {' '.join(map(str, arguments))}"
    for number, arguments in NAMED:
        for value in (*range(112), *(1 << bit for bit in range(7, 64)), 0x7ff, 0xfff, 0xffffffff, *WIDE):
            yield f"{number} {padded(arguments.replace('X', str(value)))}"
    for number, arguments, page in NAMED_INSIDE:
        for value in (0, *(1 << bit for bit in range(64)), 0xffff, *WIDE):
            yield f"{number} {padded(arguments).replace('X', str(value))} {page.replace('X', str(value))}"
    # What comes with a signal, of each kind of number and code; from 0 down it is a process's.
    for number in (1, 4, 5, 7, 8, 11, 17, 27, 29, 31):
        for code in (*range(1, 11), 128, *range(-8, 1), -60):
            for value in (0, 5, *WIDE):
                yield f"129 7 10 {PAGE} 0 0 0 0:{number} 8:{code % 2**32} 16:{value} 24:{value} 32:5 40:{value}"
    for number, arguments in STRUCTURES:
        for bits in (64, 64, 64, 32, 31, 8, 1):
            yield f"{number} {padded(str(arguments))} {words(lambda: rng.getrandbits(bits), 256)}"


def padded(arguments):
    return " ".join((arguments.split() + ["0"] * 6)[:6])


def strace(asker, file, error, output, *options):
    """The lines of strace for the calls that the file asks for, each with the same error, 0 for none."""
    subprocess.run(["strace", "-f", *options, "-o", output, asker, file, str(error)], check=True,
                   env={"TZ": "UTC", "PATH": "/usr/bin:/bin"})
    lines = [re.sub(r"^\d+ +", "", line) for line in output.read_text().splitlines()]
    start = [i for i, line in enumerate(lines) if line.startswith("seccomp(SECCOMP_SET_MODE_FILTER, 0, {len=4")]
    return [line for line in lines[start[0] + 1 if start else 0:]
            if not line.startswith(("+++", "exit_group(0"))]


def trace(asked, file, error, options=""):
    output = subprocess.run([asked, file, str(error), options], check=True, capture_output=True, text=True).stdout
    return [re.sub(r"^\d+ +", "", line) for line in output.splitlines()]


def compare_lines(asker, asked, place):
    file = place / "questions"
    file.write_text("\n".join(questions()) + "\n")
    expected, found = [], []
    for error in (errno.ENOSYS, 0):
        expected += strace(asker, file, error, place / "strace")
        found += trace(asked, file, error)
    if len(expected) != len(found):
        sys.exit(f"strace says {len(expected)} lines, trace {len(found)}")
    differing, unseen, same, known_newer, failed = set(), set(NEWER), 0, 0, 0
    for left, right in zip(expected, found):
        call = left.split("(")[0]
        if left == right:
            same += 1
        elif newer := NEWER_NAMES.findall(right):
            unseen -= set(newer)
            known_newer += 1
        elif call in DIFFERENT:
            differing.add(call)
        else:
            failed += 1
            if failed <= 20:
                print(f"strace: {left}\ntrace:  {right}")
    stale = sorted(set(DIFFERENT) - differing)
    for reason in dict.fromkeys(DIFFERENT.values()):
        print(f"may differ, {reason}: {' '.join(c for c, r in DIFFERENT.items() if r == reason)}")
    print(f"{same} of {len(expected)} lines are the same, {known_newer} have newer names, "
          f"{len(expected) - same - known_newer - failed} differ as listed, {failed} otherwise")
    if stale:
        print(f"listed, but never different: {' '.join(stale)}")
    if unseen:
        print(f"never seen: {' '.join(sorted(unseen))}")
    return failed == 0 and not stale and not unseen and same > 0.85 * len(expected)


def compare_classes(asker, asked, place):
    file = place / "numbers"
    file.write_text("".join(f"{number} 0 0 0 0 0 0\n" for number in NUMBERS))
    good = True
    for expression in CLASSES:
        # All of strace's own lines before the filter's are cut off only where they are shown.
        lines = strace(asker, file, errno.ENOSYS, place / "strace", "-e", f"trace={expression}", "-e", "signal=none")
        expected = {line.split("(")[0] for line in lines if line.endswith("= -1 ENOSYS (Function not implemented)")}
        found = {line.split("(")[0] for line in trace(asked, file, errno.ENOSYS, f"filter={expression}")}
        if expected != found:
            good = False
            print(f"{expression}: strace alone has {sorted(expected - found)}, trace alone {sorted(found - expected)}")
        else:
            print(f"ok: {expression}: {len(found)} calls")
    return good


def main():
    asker, asked, place = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    place.mkdir(parents=True, exist_ok=True)
    good = compare_lines(asker, asked, place)
    good = compare_classes(asker, asked, place) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
