"""A signal at every instruction of a system call, from the jump to the stub until it is back in the program.

A tracer steps k instructions into the call and sends a signal there, for each k (programs/every_instruction.c); the
program checks that its handler has run once, with the right mask, and has seen an address and registers of the
program's, and that nothing of the call was lost: in its ordinary code, in a handler on the alternate signal stack, with
calls that sysload answers or looks at, with rt_sigaction, all the way of another signal and back from it, and with a
call in code made at run time, which the kernel hands over with a SIGSYS (--exhaustive).
"""

import os
import re
import subprocess
import sys
import tempfile

SYSREWRITE, SYSLOAD = os.environ["SYSREWRITE"], os.environ["SYSLOAD"]
INCLUDE = os.path.join(os.environ["SYSREWRITE_SOURCE"], "loader", "include")
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs", "every_instruction.c")
HOOKS = ("none", "pass", "pass:exit", "pass:entry:exit", "pass:vectors", "pass:entry:exit:vectors", "count",
         "pass:only=getppid", "pass:only=getppid:exit", "pass:only=chdir")
# Each takes seconds.
if os.environ.get("SYSREWRITE_TEST_FULL") != "1":
    HOOKS = ("none", "pass", "pass:entry:exit", "pass:only=getppid:exit")
# Compiled code may not run with DF, and a hook's not with AC.
WATCHES_FLAGS = r"""
#include <sysload/hook.h>
static void look(void) {
  unsigned long flags;
  __asm__ volatile("pushfq\n popq %0" : "=r"(flags));
  if (flags & 0x40400) __builtin_trap();
}
static enum sysload_verdict entry(struct sysload_hook *hook, struct sysload_thread *thread, struct sysload_call *call) {
  (void)hook, (void)thread, (void)call;
  look();
  return SYSLOAD_PASS;
}
static void leave(struct sysload_hook *hook, struct sysload_thread *thread, struct sysload_call *call) {
  (void)hook, (void)thread, (void)call;
  look();
}
int sysload_hook_init(struct sysload_hook *hook) {
  hook->entry = entry;
  hook->exit = leave;
  sysload_want_all(hook, 1, 1);
  return 0;
}
"""
SAID = re.compile(r"^\w+: a signal at each of (\d+) instructions, 0 failures$")

# Ways of the program, and how it is started for them.
ALWAYS = ("ordinary", "alternate", "served", "action", "nested", "window", "beyond", "mask")
AS_COMMAND = {"answered": [SYSLOAD], "looked": [SYSLOAD], "caught": [SYSLOAD, "--exhaustive"],
              "masked": [SYSLOAD, "--exhaustive"]}
# Where sites are nothing but poison the same is done with SIGTRAP. That cannot be stepped through: a step while SIGTRAP
# is blocked makes the kernel forget its handler.
IN_FULL = os.environ.get("SYSREWRITE_TEST_FULL") == "1"


def ways(is_rewritten, hook):
    """Pairs of a way and the words before the program's name."""
    for way in ALWAYS:
        # To each of a thousand instructions it is stepped from the first one.
        if hook == "none" or IN_FULL or (hook == "pass:entry:exit" and way != "nested") or way == "ordinary":
            yield way, []
    for way, command in AS_COMMAND.items():
        if hook == "none" or IN_FULL:
            yield way, command if is_rewritten else []


def least(hook, way):
    """A call of interest has a hundred instructions or more; else it was not under the hook."""
    if way in ("action", "nested", "mask") or way in AS_COMMAND:
        return 5
    return 100 if hook.startswith(("pass", "count")) and "chdir" not in hook else 5


def rewrite(native, output, *options):
    done = subprocess.run([SYSREWRITE, "-q", "--interp", SYSLOAD, *options, native, output])
    # 3: where some tiers are not allowed a site may stay native, by an accident of addresses in libc.
    if done.returncode not in (0, 3 if options else 0):
        sys.exit(f"FAILED: rewriting with {options}: {done.returncode}")


def watching_hook(folder):
    hook = os.path.join(folder, "watches-flags.so")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-ffreestanding", "-nostdlib", "-mgeneral-regs-only", "-I", INCLUDE,
                    "-x", "c", "-o", hook, "-"], input=WATCHES_FLAGS, text=True, check=True)
    return hook


def main():
    failed = 0
    with tempfile.TemporaryDirectory(prefix="sysrewrite-every-") as folder:
        native, rewritten = os.path.join(folder, "native"), os.path.join(folder, "rewritten")
        subprocess.run(["gcc", "-O1", "-static", "-no-pie", "-w", "-o", native, SOURCE], check=True)
        rewrite(native, rewritten)
        # By default these windows are of tiers A, B and C; here all are C's.
        windows = os.path.join(folder, "windows")
        rewrite(native, windows, "--tiers", "C")
        cases = [(native, "none", way, before) for way, before in ways(False, "none")]
        cases += [(rewritten, hook, way, before) for hook in HOOKS for way, before in ways(True, hook)]
        cases += [(windows, hook, way, []) for hook in ("none", "pass:entry:exit") for way in ("ordinary", "window", "beyond")]
        # A site that stays native: slots lead to the callback that asks whose block it is.
        checked = os.path.join(folder, "checked")
        rewrite(native, checked, "--exclude", "_Fork")
        cases += [(checked, "pass:entry:exit", way, []) for way in ("ordinary", "alternate", "served", "action",
                                                                    "foreign ordinary", "foreign alternate")]
        cases += [(native, "none", "odd", []), (rewritten, "none", "odd", []), (rewritten, watching_hook(folder), "odd", [])]
        # While hooks run, where a signal is put off: another one strikes on the way there.
        cases += [(native, "none", "twice 2 1", [])]
        # Minutes each, since all is stepped from the first instruction; so one in seven of two, or one in six of
        # eleven, which are all of them once or twice.
        wheres = [(n, 6) for n in range(30, 145, 11)] if IN_FULL else [(40, 7), (100, 7)]
        cases += [(rewritten, "pass:entry:exit", f"twice {n} {each}", []) for n, each in wheres]
        for program, hook, way, before in cases:
            sentence = f"{os.path.basename(program)} under {os.path.basename(hook)}, {way}"
            tracing = ["trace"]
            if way.startswith("twice "):
                tracing, way = way.split(), "twice"
            elif way.startswith("foreign "):
                tracing, way = way.split()
                tracing = [tracing]
            try:
                done = subprocess.run([native, *tracing, *before, program, "call", way], capture_output=True, text=True,
                                      timeout=1200, env={**os.environ, "SYSLOAD_HOOK": hook})
                text = done.stdout.strip()
                said = SAID.match(text)
                count = int(said.group(1)) if said else 0
                good = done.returncode == 0 and count >= (5 if program == native else least(hook, way))
            except subprocess.TimeoutExpired as hang:
                good, text = False, f"hangs\n{hang.stdout}"
            print(f"ok: {sentence}: {text}" if good else f"FAILED: {sentence}\n{text}", flush=True)
            failed += not good
    sys.exit(1 if failed else 0)


main()
