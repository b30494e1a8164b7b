"""kernel_suite.py [TEST...]: the kernel's own tests of its system calls, natively and under `sysrewrite run`.

What they look at is what a program can see of a call: registers and flags, memory, signals and their frames, restarts, clone and
its children, ptrace, seccomp, /proc, descriptors, futexes, timers. A unit is a test, without a hook or under one that sees
each call begin and end.
"""

import concurrent.futures
import fnmatch
import glob
import os
import re
import sys

from kernel_source import build, kernel_tree
from suites import AT_ONCE, CACHE, HOOK, Comparison, Folder, execute, under_run

FOLDERS = ("breakpoints", "capabilities", "clone3", "core", "exec", "filesystems", "filesystems/epoll", "fpu", "futex/functional", "ipc",
           "kcmp", "landlock", "membarrier", "memfd", "mincore", "mount", "mount_setattr", "nsfs", "openat2", "pid_namespace",
           "pidfd", "prctl", "proc", "ptrace", "rlimits", "rseq", "sched", "seccomp", "sigaltstack", "splice",
           "syscall_user_dispatch", "timens", "timers", "tmpfs", "vDSO", "vm", "x86")
HOOKS = (HOOK,) if HOOK != "none" else ("none", "pass:entry:exit")
# Further words for gcc.
MORE = {
    "capabilities/*": ["-lcap-ng", "-lcap"], "clone3/clone3_cap_checkpoint_restore": ["-lcap"], "landlock/*": ["-lcap"],
    "futex/functional/*": ["-I../include"], "memfd/memfd_test": ["common.c"], "openat2/*": ["helpers.c"], "rseq/*": ["rseq.c"],
    "seccomp/*": ["-lcap"], "vDSO/*": ["parse_vdso.c"], "vm/*": ["vm_util.c", "-lcap"], "vm/protection_keys": ["-mxsave"],
    "x86/sysret_ss_attrs": ["thunks.S", "-no-pie"],
}
# Words for the test itself.
ARGUMENTS = {"vm/userfaultfd": ["shmem", "20", "4"]}
# What is no test by itself, or not one of what is tried here, each with its reason; everything else runs.
LEFT_OUT = {
    "*/common": "a part of others", "memfd/fuse_*": "wants a file system in user space",
    "openat2/helpers": "a part of others", "rseq/rseq": "a part of others", "vDSO/parse_vdso": "a part of others",
    "landlock/true": "a part of others", "capabilities/validate_cap": "a part of others",
    "breakpoints/breakpoint_test_arm64": "of another machine", "breakpoints/step_after_suspend_test": "suspends the machine",
    "futex/functional/futex_requeue": "wants ten threads to wait by then, which those of a busy machine do not",
    "exec/load_address": "is built in several ways by its Makefile", "exec/recursion-depth": "mounts over /tmp",
    "fpu/test_fpu": "wants a module", "filesystems/dnotify_test": "never ends",
    "prctl/*-stress-test": "compares nothing, for as long as it takes", "*benchmark": "measures",
    "rseq/param_test": "is built in many ways by its Makefile", "vDSO/vdso_standalone_test_x86": "without a C library's start",
    "timers/*skew*": "sets the machine's clock", "timers/*leap*": "sets the machine's clock", "timers/freq-step": "sets the clock",
    "timers/set-*": "sets the machine's clock", "timers/*adj*": "sets the machine's clock", "timers/rtcpie": "wants a clock chip",
    "timers/clocksource-switch": "changes the machine's clock", "timers/alarmtimer-suspend": "suspends the machine",
    "timers/inconsistency-check": "takes minutes, and makes no call", "timers/threadtest": "makes no call",
    "timers/nanosleep": "takes minutes", "timers/nsleep-lat": "measures", "timers/mqueue-lat": "measures",
    "timens/gettime_perf": "measures", "ipc/msgque": "numbers of the whole machine, which two runs at once share",
    "x86/entry_from_vm86": "of 32 bits", "x86/test_FCOMI": "of 32 bits", "x86/test_FISTTP": "of 32 bits",
    "x86/trivial_32bit_program": "of 32 bits", "x86/unwind_vdso": "of 32 bits", "x86/vdso_restorer": "of 32 bits",
    "x86/check_initial_reg_state": "starts without the C library, and is built so by its Makefile",
    "vm/vm_util": "a part of others", "vm/hmm-tests": "wants a module", "vm/gup_test": "wants a module",
    "vm/ksm_tests": "wants libnuma", "vm/migration": "wants libnuma", "vm/transhuge-stress": "never ends",
    "vm/write_to_hugetlbfs": "a part of a script", "vm/hugepage-*": "wants huge pages, of the whole machine",
    "vm/compaction_test": "changes the machine's huge pages",
    "vm/khugepaged": "changes what the machine does of huge pages",
    "vm/hugetlb-madvise": "wants huge pages, of the whole machine",
    "x86/mov_ss_trap": "raises what some virtual machines get wrong",
}
SECONDS = 60
GS = "a program that sets the gs base cannot have hooks (docs/limits.md)"
FILTER = "a filter has to allow what sysload does under hooks (docs/limits.md)"
DISPATCH = "a program under hooks cannot have Syscall User Dispatch (docs/limits.md)"
EXPLAINED = {
    "seccomp/seccomp_bpf under pass:entry:exit: global.mode_strict_support": "strict mode allows none of sysload's calls (docs/limits.md)",
    "seccomp/seccomp_bpf under pass:entry:exit: global.syscall_restart": FILTER,
    "seccomp/seccomp_bpf under pass:entry:exit: global.user_notification_signal": FILTER,
    "seccomp/seccomp_bpf under pass:entry:exit: (the program)": "the three above",
    "syscall_user_dispatch/sud_test under pass:entry:exit: *": DISPATCH,
    "x86/fsgsbase* under pass:entry:exit: *": GS,
    "x86/ldt_gdt under pass:entry:exit: *": GS,
    "x86/syscall_arg_fault under pass:entry:exit: *": GS,
    "proc/proc-pid-vm under *: *": "it unmaps all of the address space, sysload too (docs/limits.md)",
}


def tests_in(tree):
    found = (os.path.join(folder, os.path.basename(path)[:-2]) for folder in FOLDERS
             for path in glob.glob(os.path.join(tree, folder, "*.c")))
    return sorted(test for test in found if not any(fnmatch.fnmatchcase(test, left) for left in LEFT_OUT))


def without_numbers(text):
    return re.sub(r"\b(0x)?[0-9a-f]*[0-9][0-9a-f]*\b", "N", text).strip()


def results(output):
    """The lines that say what became of a case, of both forms that these tests have, in their order among equals."""
    found = {}
    for bad, of_tap, old, rest in re.findall(r"^[# ]*(?:(not )?(ok) \d+|\[ *(OK|FAIL|SKIP|NOTE|WARN) *\])(.*)$", output, re.MULTILINE):
        result = old.lower() if old else "not ok" if bad else "skip" if "# SKIP" in rest else of_tap
        name = without_numbers(rest) if not old else "line"
        again, case = 1, name
        while case in found:
            again += 1
            case = f"{name} ({again})"
        found[case] = f"{result}: {without_numbers(rest)}" if old else result
    return found


class Tests:
    """The tests, compiled in a folder."""

    def __init__(self, folder, tree, tests):
        self.folder, self.tree = folder, tree
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for future in [pool.submit(self.build, test) for test in tests]:
                future.result()

    def build(self, test):
        words = [word for pattern, more in MORE.items() if fnmatch.fnmatchcase(test, pattern) for word in more]
        build(self.tree, test, self.program(test), words)

    def program(self, test):
        return os.path.join(self.folder, test.replace("/", "-"))

    def run(self, unit, is_patched):
        test, hook = unit.split(" under ")
        command = [self.program(test), *ARGUMENTS.get(test, [])]
        with Folder() as folder:
            outcome = execute(under_run(command, hook) if is_patched else command, folder, SECONDS)
        return {**results(outcome.output), "(the program)": f"status {outcome.status}"}, outcome.output


def main():
    tree = kernel_tree(CACHE)
    units = [f"{test} under {hook}" for test in sys.argv[1:] or tests_in(tree) for hook in HOOKS]
    with Folder() as folder:
        tests = Tests(folder, tree, list(dict.fromkeys(unit.split(" under ")[0] for unit in units)))
        comparison = Comparison("kernel", tests.run, EXPLAINED)
        for name, reason in LEFT_OUT.items():
            print(f"left out: {name}: {reason}")
        comparison.all(units, 1 if len(sys.argv) > 1 else 700)


if __name__ == "__main__":
    main()
