"""stress_ng_suite.py [STRESSOR...]: stress-ng's stressors of system calls, each natively and under `sysrewrite run`.

One process of each stressor, for a hundred of its operations or two seconds, with its own checks (--verify). Compared
are the exit status, whether it did anything, and what it complains of. Where the caller is root all but a few run as
nobody: what a stressor may do to the machine is then what any user may.
"""

import os
import re
import shutil
import subprocess
import sys

import suites
from suites import CACHE, FULL, HOOK, Comparison, Folder, execute

STRESS_NG = "/usr/bin/stress-ng"
CLASSES = ("os", "filesystem", "scheduler", "interrupt", "memory", "vm", "pipe", "network", "io")
SHORT = ("clone", "futex", "mq", "signal", "sigfd", "vfork")
SECONDS = 2
# What is left out, each with its reason; everything else of the classes runs.
LEFT_OUT = {
    "bigheap": "takes all memory",
    "brk": "takes all memory",
    "resources": "takes all memory",
    "swap": "changes the machine's swap space",
    "pageswap": "swaps whatever it can",
    "memhotplug": "takes memory out of the machine",
    "cpu-online": "takes processors out of the machine",
    "oom-pipe": "takes all memory for pipes",
    "reboot": "would reboot, were it not for a wrong argument",
    "watchdog": "starts a watchdog that reboots",
    "smi": "writes to the machine's ports",
    "kvm": "makes virtual machines",
    "tun": "makes network interfaces other than loopback",
    "sysfs": "reads all that drivers show, which hangs some",
    "dev": "opens all devices, terminals of others among them",
    "forkheavy": "takes all processes of the user, so that what runs beside it fails",
    "zombie": "takes all processes of the user, so that what runs beside it fails",
}
# What is harmless, and refuses to work for anybody else.
AS_ROOT = ("chroot", "fanotify", "icmp-flood", "netlink-proc", "netlink-task", "rawpkt", "rawsock", "rawudp", "seccomp")
EXPLAINED = {
    "usersyscall: *": "Syscall User Dispatch with libc's code as the range whose calls are let through: patched, they are made from "
                      "libc's trampoline, which lies outside (docs/limits.md)",
}
if HOOK != "none":
    EXPLAINED["prctl: *"] = "sets the gs base, which hooks need (docs/limits.md)"


def stressors():
    found = set()
    for name in CLASSES:
        listed = subprocess.run([STRESS_NG, "--class", name + "?"], capture_output=True, text=True).stdout
        found.update(re.search("stressors: (.*)", listed).group(1).split())
    return sorted(found - LEFT_OUT.keys())


def complaints(output):
    """What it says of failures, without numbers and with each line once."""
    lines = re.findall(r"^stress-ng: (?:fail|error|warn)\w*: *\[\d+\] *(.*)$", output, re.MULTILINE)
    lines += re.findall(r"^stress-ng: info: *\[\d+\] *(.*(?:skipp|unexpect|terminated|fail).*)$", output, re.MULTILINE)
    return sorted({re.sub(r"0x[0-9a-f]+|\d+(\.\d+)?", "@", line) for line in lines})


class Tools:
    """sysrewrite and sysload where nobody can read them, and how to become nobody."""

    def __init__(self, folder):
        self.nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}
        self.cache = os.path.join(folder, "cache")
        os.mkdir(self.cache)
        if self.nobody:
            os.chown(self.cache, 65534, 65534)
        os.chmod(folder, 0o755)
        self.sysrewrite = shutil.copy(suites.SYSREWRITE, os.path.join(folder, "sysrewrite"))
        self.sysload = shutil.copy(suites.SYSLOAD, os.path.join(folder, "sysload"))

    def run(self, stressor, is_patched):
        identity, cache = (self.nobody, self.cache) if stressor not in AS_ROOT else ({}, CACHE)
        with Folder() as folder:
            if identity:
                os.chown(folder, 65534, 65534)
            report = os.path.join(folder, "report.yaml")
            command = [STRESS_NG, f"--{stressor}", "1", f"--{stressor}-ops", "100", "--timeout", str(SECONDS), "--verify",
                       "--metrics", "--no-rand-seed", "--oom-avoid", "--oomable", "--temp-path", folder, "--yaml", report]
            if is_patched:
                command = [self.sysrewrite, *suites.under_run(command)[1:]]
                command[command.index("--loader") + 1] = self.sysload
            outcome = execute(command, folder, 20 * SECONDS + 60, identity, XDG_CACHE_HOME=cache, XDG_STATE_HOME=cache)
            found = {"status": f"status {outcome.status}", "complaints": "complaints: " + "; ".join(complaints(outcome.output))}
            if os.path.exists(report):
                with open(report, encoding="utf-8") as file:
                    done = re.search(r"bogo-ops: (\d+)", file.read())
                found["operations"] = "none" if done is None or done.group(1) == "0" else "some"
            return found, outcome.output


def main():
    with Folder() as folder:
        tools = Tools(folder)
        comparison = Comparison("stress-ng", tools.run, EXPLAINED)
        for name, reason in sorted(LEFT_OUT.items()):
            print(f"left out: {name}: {reason}")
        if len(sys.argv) > 1:
            comparison.all(sys.argv[1:], 1)
        elif not FULL:
            comparison.all(SHORT, 2 * len(SHORT))
        comparison.all(stressors(), 600)


if __name__ == "__main__":
    main()
