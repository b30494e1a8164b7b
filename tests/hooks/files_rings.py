"""The hook files says that a set is incomplete where a program has made a ring: what goes through io_uring makes no call."""

import os
import subprocess
import sys
import tempfile

SYSREWRITE, SYSLOAD = os.environ["SYSREWRITE"], os.environ["SYSLOAD"]
LINE = "incomplete io_uring: what is done through a ring is not seen"

# Its status is the number of rings: where the kernel makes none, nothing is missed.
RINGS = r"""
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
  int made = 0;
  for (int i = 1; i < argc; i++) {
    char parameters[120] = {0};
    made += syscall(SYS_io_uring_setup, 4, parameters) >= 0;
  }
  return made;
}
"""


def main():
    failed = 0
    with tempfile.TemporaryDirectory(prefix="sysrewrite-rings-") as folder:
        program = os.path.join(folder, "rings")
        subprocess.run(["gcc", "-O1", "-w", "-x", "c", "-o", program, "-"], input=RINGS.encode(), check=True)
        for words in ([], ["a"], ["a", "b"]):
            made = subprocess.run([program, *words], check=False).returncode
            done = subprocess.run([SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", "files:output=records", "--",
                                   program, *words], cwd=folder, timeout=120, check=False)
            with open(os.path.join(folder, "records"), encoding="utf-8") as file:
                said = file.read().splitlines().count(LINE)
            good = done.returncode == made and said == (made > 0)
            print("ok:" if good else "FAILED:", f"{made} rings of {len(words)}", "" if good else (done, said))
            failed += not good
    sys.exit(1 if failed else 0)


main()
