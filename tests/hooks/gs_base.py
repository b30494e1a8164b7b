"""A program that sets its gs base, by which hooks know its threads, is told that it cannot have both, whichever way it
does so, and is as natively without hooks."""

import os
import subprocess
import sys
import tempfile

SYSREWRITE, SYSLOAD = os.environ["SYSREWRITE"], os.environ["SYSLOAD"]

PROGRAM = r"""
#include <asm/ldt.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
static unsigned word(void) {
  unsigned value;
  asm volatile("movl %%gs:0, %0" : "=r"(value));
  return value;
}
/* By the call, or by a segment of the local descriptor table, of which the kernel is not asked. */
int main(int argc, char** argv) {
  unsigned* const memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  *memory = 0x1337f00d;
  if (strcmp(argv[1], "call") == 0) {
    if (syscall(SYS_arch_prctl, 0x1001, memory) != 0) return 8;
  } else {
    const struct user_desc segment = {.base_addr = (unsigned)(uintptr_t)memory, .limit = 4095, .seg_32bit = 1};
    if (syscall(SYS_modify_ldt, 1, &segment, sizeof segment) != 0) return 9;
    asm volatile("mov %0, %%gs" : : "r"((unsigned short)7));
  }
  printf("%x %d\n", word(), getppid() > 0);
  return 3;
}
"""
LINE = ("sysload: hooks: the program sets the gs base, by which its threads are known to hooks, to --exhaustive, and where "
        "sites are of tier D: run it without\n")


def check(good, sentence, *more):
    print("ok:" if good else "FAILED:", sentence)
    if not good:
        print(*more, sep="\n")
    return not good


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def main():
    failed = 0
    with tempfile.TemporaryDirectory(prefix="sysrewrite-gs-") as folder:
        source, program = os.path.join(folder, "gs.c"), os.path.join(folder, "gs")
        with open(source, "w", encoding="utf-8") as file:
            file.write(PROGRAM)
        subprocess.run(["gcc", "-O1", "-w", "-o", program, source], check=True)
        under_run = [SYSREWRITE, "run", "-q", "--loader", SYSLOAD]
        for way in ("call", "segment"):
            native = run([program, way], folder)
            failed += check(native == (3, "1337f00d 1\n", ""), f"{way}: natively", native)
            plain = run([*under_run, "--", program, way], folder)
            failed += check(plain == native, f"{way}: without hooks", plain)
            for hook in ("pass", "pass:entry:exit"):
                found = run([*under_run, "--hook", hook, "--", program, way], folder)
                failed += check(found == (127, "", LINE), f"{way}: under {hook}", found)
    sys.exit(1 if failed else 0)


main()
