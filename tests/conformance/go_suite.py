"""go_suite.py [PACKAGE...]: tests of Go's own packages, as static programs: natively, and rewritten by sysrewrite.

Each package is compiled into one program by `go test -c`, and sysrewrite is given that program. Tests that would ask
other machines are off (-test.short); what the others take from the network they take from loopback.
"""

import os
import re
import shutil
import subprocess
import sys

from suites import CACHE, FULL, SYSLOAD, SYSREWRITE, Comparison, Folder, environment, execute

SHORT = ("io/fs", "syscall")
# -test.short also where there are minutes of what is no system call.
PACKAGES = {
    "bufio": False, "context": False, "internal/poll": False, "io": False, "io/fs": False, "io/ioutil": False, "log": False,
    "net": True, "net/http": True, "net/rpc": True, "os": False, "os/exec": False, "os/signal": False, "os/user": False,
    "path/filepath": False, "runtime": True, "runtime/debug": False, "runtime/pprof": True, "runtime/trace": True, "sync": False,
    "sync/atomic": True, "syscall": False, "testing": True, "time": False,
}
SECONDS = 600
EXPLAINED = {}
RESULT = re.compile(r"--- (PASS|FAIL|SKIP): (\S+) \(")


class Programs:
    def __init__(self, folder):
        self.folder = folder
        self.more = {"CGO_ENABLED": "0", "GO111MODULE": "off", "GOCACHE": os.path.join(CACHE, "go"), "GOFLAGS": ""}
        self.root = subprocess.run(["go", "env", "GOROOT"], check=True, capture_output=True, text=True,
                                   env=environment(folder, **self.more)).stdout.strip()

    def path(self, package, is_patched):
        """Under one name: tests start themselves anew, and look at what they are called."""
        way = os.path.join(self.folder, "patched" if is_patched else "natives")
        os.makedirs(way, exist_ok=True)
        return os.path.join(way, package.replace("/", "-") + ".test")

    def build(self, package):
        native, patched = self.path(package, False), self.path(package, True)
        if os.path.exists(patched):
            return
        # Time zones come along: whether a machine has them is not the question.
        subprocess.run(["go", "test", "-c", "-vet=off", "-tags=timetzdata", "-o", native, package], check=True,
                       env=environment(self.folder, **self.more))
        done = subprocess.run([SYSREWRITE, "-q", "--interp", SYSLOAD, native, patched], check=False)
        # 3: bytes 0f 05 that are none for sure, by an accident of addresses, were left alone.
        if done.returncode not in (0, 3):
            sys.exit(f"FAILED: {package} is rewritten: {done.returncode}")

    def run(self, package, is_patched):
        self.build(package)
        with Folder() as folder:
            # Tests read, and some write, files beside their sources.
            place = os.path.join(folder, "src", package)
            shutil.copytree(os.path.join(self.root, "src", package), place, symlinks=True)
            command = [self.path(package, is_patched), "-test.v", f"-test.timeout={SECONDS - 60}s"]
            if PACKAGES.get(package, True):
                command.append("-test.short")
            outcome = execute(command, place, SECONDS, HOME=folder, TMPDIR=folder, **self.more)
            found = {}
            for what, name in RESULT.findall(outcome.output):
                # Of subtests of one name there are several.
                again = 1
                while (case := f"{name} ({again})") in found:
                    again += 1
                found[case] = what
            found["(the program)"] = f"status {outcome.status}"
            return found, outcome.output


def main():
    with Folder() as folder:
        comparison = Comparison("go", Programs(folder).run, EXPLAINED)
        if len(sys.argv) > 1:
            comparison.all(sys.argv[1:], 1)
        elif not FULL:
            comparison.all(SHORT, 30)
        comparison.all(PACKAGES, 2000)


if __name__ == "__main__":
    main()
