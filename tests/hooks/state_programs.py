"""What a system call leaves in the registers, under every kind of hook, outcome and tier.

The program (programs/state.c) fills all registers, the flags with DF and AC, the red zone and the vector state with
random values before calls that pass, fail, are served or answered, and compares them afterwards.
"""

import os
import subprocess
import sys
import tempfile

SYSREWRITE, SYSLOAD = os.environ["SYSREWRITE"], os.environ["SYSLOAD"]
INCLUDE = os.path.join(os.environ["SYSREWRITE_SOURCE"], "loader", "include")
PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")
HOOKS = ("none", "pass", "pass:exit", "pass:entry:exit", "pass:vectors", "pass:entry:exit:vectors:x87", "count",
         "pass:only=getppid:answer", "pass:only=close:entry:exit", "files:output=/dev/null", "trace:output=/dev/null")

# Changes all vector registers at each call. Without saying so it must be seen to: this test would notice.
CLOBBER = r"""
#include <sysload/hook.h>
static int keeps_x87;
static void clobber(void) {
  static const uint32_t mxcsr = 0x1fbf;
  __asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
#if WIDTH == 2
  __asm__ volatile(".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
                   "vpternlogd $255, %%zmm\\n, %%zmm\\n, %%zmm\\n\n .endr\n"
                   ".irp n, 0,1,2,3,4,5,6,7\n kxnorq %%k\\n, %%k\\n, %%k\\n\n .endr" ::: "memory");
#elif WIDTH == 1
  __asm__ volatile(".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
                   "vcmptrueps %%ymm\\n, %%ymm\\n, %%ymm\\n\n .endr" ::: "memory");
#else
  __asm__ volatile(".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n pcmpeqd %%xmm\\n, %%xmm\\n\n .endr" ::: "memory");
#endif
  if (!keeps_x87) __asm__ volatile("fninit");
}
static enum sysload_verdict entry(struct sysload_hook *hook, struct sysload_thread *thread, struct sysload_call *call) {
  (void)hook, (void)thread, (void)call;
  clobber();
  return SYSLOAD_PASS;
}
static void leave(struct sysload_hook *hook, struct sysload_thread *thread, struct sysload_call *call) {
  (void)hook, (void)thread, (void)call;
  clobber();
}
int sysload_hook_init(struct sysload_hook *hook) {
  char value[4];
  hook->entry = entry;
  hook->exit = leave;
  if (hook->api->option(hook, "says-so", value, sizeof value) >= 0) hook->flags = SYSLOAD_VECTORS;
  keeps_x87 = hook->api->option(hook, "but-x87", value, sizeof value) >= 0;
  if (keeps_x87) hook->flags |= SYSLOAD_NO_X87;
  sysload_want_all(hook, 1, 1);
  return 0;
}
"""


def run(command, folder, **environment):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
                          env={**os.environ, **environment})


def main():
    failed = 0

    def check(good, sentence, done):
        nonlocal failed
        print("ok:" if good else "FAILED:", sentence)
        if not good:
            failed += 1
            print(done.returncode, done.stdout[-1500:], done.stderr[-500:])

    with tempfile.TemporaryDirectory(prefix="sysrewrite-state-") as folder:
        with open(os.path.join(folder, "clobber.c"), "w", encoding="utf-8") as file:
            file.write(CLOBBER)
        subprocess.run(["gcc", "-O1", "-static", "-o", "state", os.path.join(PROGRAMS, "state.c"),
                        os.path.join(PROGRAMS, "state.S")], cwd=folder, check=True)
        native = run(["./state"], folder)
        check(native.returncode == 0, f"natively: {native.stdout.strip()}", native)
        width = ("xmm", "ymm", "zmm").index(native.stdout[:3])
        subprocess.run(["gcc", "-O1", "-w", "-shared", "-fPIC", "-ffreestanding", "-nostdlib", "-mgeneral-regs-only",
                        f"-DWIDTH={width}", "-I", INCLUDE, "-o", "clobber.so", "clobber.c"], cwd=folder, check=True)
        for tiers in ("ABCD", "BD", "CD", "D"):
            done = run([SYSREWRITE, "-q", "--interp", SYSLOAD, "--tiers", tiers, "state", f"state.{tiers}"], folder)
            check(done.returncode == 0, f"tiers {tiers}: rewritten", done)
            for hook in HOOKS if tiers == "ABCD" else HOOKS[:4]:
                done = run([f"./state.{tiers}"], folder, SYSLOAD_HOOK=hook)
                check(done.returncode == 0 and done.stdout == native.stdout, f"tiers {tiers} under {hook}", done)
        done = run([SYSLOAD, "--exhaustive", "./state.ABCD"], folder)
        check(done.returncode == 0 and done.stdout == native.stdout, "exhaustive", done)
        # Dynamically linked, more calls are served: those that map, execute, and follow /proc/self/exe.
        subprocess.run(["gcc", "-O1", "-w", "-o", "dynamic", os.path.join(PROGRAMS, "state.c"),
                        os.path.join(PROGRAMS, "state.S")], cwd=folder, check=True)
        for hook in HOOKS[:4]:
            done = run([SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", hook, "--", "./dynamic"], folder)
            check(done.returncode == 0 and done.stdout == native.stdout, f"dynamic, under run and {hook}", done)
        for said in ("says-so", "says-so:but-x87"):
            done = run(["./state.ABCD"], folder, SYSLOAD_HOOK=f"./clobber.so:{said}")
            check(done.returncode == 0 and done.stdout == native.stdout, f"a hook that changes vector registers: {said}", done)
        done = run(["./state.ABCD"], folder, SYSLOAD_HOOK="./clobber.so")
        check(done.returncode == 1 and "a vector register is" in done.stdout, "one that does not say so is noticed", done)
    sys.exit(1 if failed else 0)


main()
