"""The hook files says that a set is incomplete where a program has calls of the i386 table; not where bytes may be a call."""

import os
import re
import subprocess
import sys
import tempfile

SYSREWRITE, SYSLOAD = os.environ["SYSREWRITE"], os.environ["SYSLOAD"]
IS_ONE = "int $0x80, whose calls have numbers of their own, is left alone"

# Nothing leads to the call behind the ud2, which decodes in two ways. Tables of ciphers have such bytes, too.
PROGRAM = r"""
#include <unistd.h>
#ifdef UNCERTAIN
__asm__(".text\n.rept 14\nud2\n.endr\n.byte 0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05\nud2\n");
#endif
int main(void) {
  int answer = getpid();
#ifdef CALLS
  for (int i = 0; i < CALLS; i++)
    __asm__ volatile("int $0x80" : "=a"(answer) : "0"(20) : "memory", "r8", "r9", "r10", "r11");
#endif
#ifdef MORE
  __asm__ volatile("int $0x80; mov $20, %%eax; int $0x80" : "=a"(answer) : "0"(20) : "memory", "r8", "r9", "r10", "r11");
#endif
  return answer != getpid();
}
"""
# What is built, how it is run, and what is said of it: by files, and by run itself.
CASES = [
    ([], [], [], []),
    (["-DUNCERTAIN"], [], [], []),
    (["-DCALLS=1"], [], [IS_ONE], [IS_ONE]),
    (["-DCALLS=1"], ["--exhaustive"], [IS_ONE], [IS_ONE]),
    (["-DCALLS=1", "-static"], [], [IS_ONE], [IS_ONE]),
    (["-DCALLS=1", "-DMORE"], [], ["and 2 more: " + IS_ONE], ["and 2 more: " + IS_ONE]),
]


def said(folder, words, program):
    """What files and run have said of the program, without its name and the addresses. Twice: from the cache, too."""
    command = [SYSREWRITE, "run", "--loader", SYSLOAD, *words, "--hook", "files:output=records", "--", program]
    environment = dict(os.environ, XDG_CACHE_HOME=os.path.join(folder, "cache"), XDG_STATE_HOME=os.path.join(folder, "state"))
    each = []
    for _ in range(2):
        done = subprocess.run(command, cwd=folder, timeout=120, check=False, capture_output=True, text=True, env=environment)
        with open(os.path.join(folder, "records"), encoding="utf-8") as file:
            records = re.findall(rf"^incomplete {program}: 0x[0-9a-f]+:? (.*)$", file.read(), re.MULTILINE)
        each.append((done.returncode, records, re.findall(rf"native: {program}: 0x[0-9a-f]+:? (.*)$", done.stderr, re.MULTILINE)))
    return each


def main():
    failed = 0
    with tempfile.TemporaryDirectory(prefix="sysrewrite-unseen-") as folder:
        program = os.path.join(folder, "program")
        for flags, words, records, natives in CASES:
            subprocess.run(["gcc", "-O1", "-w", "-s", *flags, "-x", "c", "-o", program, "-"], input=PROGRAM.encode(), check=True)
            outcome = said(folder, words, program)
            good = outcome == [(0, records, natives)] * 2
            print("ok:" if good else "FAILED:", *flags, *words, "" if good else outcome)
            failed += not good
    sys.exit(1 if failed else 0)


main()
