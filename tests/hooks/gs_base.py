"""A program that sets its gs base, by which hooks know its threads, is told that it cannot have both, whichever way it
does so, and is as natively without hooks."""

import os
import subprocess
import sys
import tempfile

SYSREWRITE, SYSLOAD = os.environ["SYSREWRITE"], os.environ["SYSLOAD"]

PROGRAM = r"""
#include <asm/ldt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
enum { kWords = 32768 };
static uint64_t* memory;
static unsigned short selector;
static volatile sig_atomic_t came;
static void on_alarm(int signal) { came = 1; }
static void on_fault(int signal) { _exit(66); }
static int is_called(const char* way, const char* what) { return strncmp(way, what, strlen(what)) == 0; }
static unsigned word(void) {
  unsigned value;
  asm volatile("movl %%gs:0, %0" : "=r"(value));
  return value;
}
/* By the call, or by a segment of the local descriptor table, of which the kernel is not asked. */
static int set(const char* way) {
  if (is_called(way, "call")) return syscall(SYS_arch_prctl, 0x1001, memory) != 0;
  asm volatile("mov %0, %%gs" : : "r"(selector));
  return 0;
}
int main(int argc, char** argv) {
  const char* const way = argv[1];
  const int is_null = strstr(way, "null") != NULL;
  uint64_t* const all = mmap(NULL, 2 * kWords * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  memory = all + kWords;
  /* As what belongs to a thread is full of: each of its words leads somewhere. */
  if (strstr(way, "full") != NULL)
    for (uint64_t* at = all; at < memory + kWords; ++at) *at = (uintptr_t)memory;
  *(unsigned*)memory = 0x1337f00d;
  const struct user_desc segment = {.base_addr = (unsigned)(uintptr_t)memory, .limit = 4095, .seg_32bit = 1};
  if (syscall(SYS_modify_ldt, 1, &segment, sizeof segment) != 0) return 9;
  selector = is_null ? 0 : 7;
  unsigned char* const code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(code, "\xb8\x6e\x00\x00\x00\x0f\x05\xc3", 8); /* getppid */
  /* A fault of the runtime's is none of the program's. */
  struct sigaction act = {.sa_handler = on_fault};
  if (strstr(way, "masked") != NULL) sigfillset(&act.sa_mask);
  sigaction(SIGSEGV, &act, NULL);
  if (strstr(way, "signal") != NULL) {
    signal(SIGVTALRM, on_alarm);
    const struct itimerval soon = {.it_value.tv_usec = 20000};
    setitimer(ITIMER_VIRTUAL, &soon, NULL);
    if (set(way)) return 8;
    while (!came) {
    }
  } else if (strstr(way, "bare") != NULL) {
    if (set(way)) return 8;
    if (((int (*)(void))code)() <= 0) return 7;
  } else if (set(way)) {
    return 8;
  }
  printf("%x %d\n", is_null ? 0x1337f00d : word(), getppid() > 0);
  return 3;
}
"""
# Each by its words: how it is set, to what, and what comes next.
WAYS = ("call", "segment", "segment full", "segment null", "segment full signal", "segment signal", "segment full bare", "segment null bare",
        "segment full masked signal", "segment full masked bare")
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
        for way in WAYS:
            native = run([program, way], folder)
            failed += check(native == (3, "1337f00d 1\n", ""), f"{way}: natively", native)
            plain = run([*under_run, "--", program, way], folder)
            failed += check(plain == native, f"{way}: without hooks", plain)
            for words in (("--hook", "pass"), ("--hook", "pass:entry:exit"), ("--exhaustive",)):
                found = run([*under_run, *words, "--", program, way], folder)
                failed += check(found == (127, "", LINE), f"{way}: under {words[-1]}", found)
    sys.exit(1 if failed else 0)


main()
