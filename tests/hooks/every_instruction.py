"""A signal at every instruction of a system call, from the jump to the stub until it is back in the program.

A tracer steps k instructions into the call and sends a signal there, for each k (programs/every_instruction.c); the
program checks that its handler has run once, with the right mask, and that nothing of the call was lost: in its
ordinary code, in a handler on the alternate signal stack, with a call that sysload answers itself, and with a call in
code made at run time, which the kernel hands over with a SIGSYS (--exhaustive).
"""

import os
import re
import subprocess
import sys
import tempfile

SYSREWRITE, SYSLOAD = os.environ["SYSREWRITE"], os.environ["SYSLOAD"]
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs", "every_instruction.c")
HOOKS = ("none", "pass", "pass:exit", "pass:entry:exit", "pass:vectors", "pass:entry:exit:vectors", "count",
         "pass:only=getppid", "pass:only=getppid:exit", "pass:only=chdir")
# Each takes seconds.
if os.environ.get("SYSREWRITE_TEST_FULL") != "1":
    HOOKS = ("none", "pass", "pass:entry:exit", "pass:only=getppid:exit")
SAID = re.compile(r"^\w+: a signal at each of (\d+) instructions, 0 failures$")


def main():
    failed = 0
    with tempfile.TemporaryDirectory(prefix="sysrewrite-every-") as folder:
        native, rewritten = os.path.join(folder, "native"), os.path.join(folder, "rewritten")
        subprocess.run(["gcc", "-O1", "-static", "-no-pie", "-w", "-o", native, SOURCE], check=True)
        subprocess.run([SYSREWRITE, "-q", "--interp", SYSLOAD, native, rewritten], check=True)
        for program, hooks in ((native, ("none",)), (rewritten, HOOKS)):
            for hook in hooks:
                for where in ("", "alternate", "served", "caught"):
                    sentence = f"{os.path.basename(program)} under {hook} {where}"
                    caught = [SYSLOAD, "--exhaustive"] if where == "caught" and program == rewritten else []
                    try:
                        done = subprocess.run([native, "trace", *caught, program, "call", *where.split()],
                                              capture_output=True, text=True, timeout=60,
                                              env={**os.environ, "SYSLOAD_HOOK": hook})
                        text = done.stdout.strip()
                        # A call of interest has a hundred instructions or more; else it was not under the hook.
                        said = SAID.match(text)
                        if where == "served" and hook in ("none", "pass:only=chdir"):
                            continue  # not served, or not to be seen
                        least = 100 if hook.startswith(("pass", "count")) and "chdir" not in hook else 3
                        good = done.returncode == 0 and said and int(said.group(1)) >= least
                    except subprocess.TimeoutExpired as hang:
                        good, text = False, f"hangs\n{hang.stdout}"
                    print(f"ok: {sentence}: {text}" if good else f"FAILED: {sentence}\n{text}")
                    failed += not good
    sys.exit(1 if failed else 0)


main()
