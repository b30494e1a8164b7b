"""What a program inherits and lets go of: `run`, which was started in its place, hands it on and keeps nothing."""
import os

from comparison import PYTHON, check, under_run


def same_around(runner, before, command, *, options=(), prepare=None, files=()):
    """As comparison.same(), of a command that another one executes, which run is executed by, too."""
    results = []
    for words in (command, under_run(command, *options)):
        folder = runner.folder(prepare)
        outcome = runner.execute([*before, *words], folder, timeout=60)
        for name in files:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                outcome.stdout += file.read()
        results.append(outcome)
    native, ours = results
    check((native.status, native.stdout, native.stderr) == (ours.status, ours.stdout, ours.stderr),
          f"{before} {command}\n=== natively\n{native}\n=== under run\n{ours}")
    return ours


CLOSED = """
import os, sys
for number in sys.argv[1]: os.close(int(number))
os.execvp(sys.argv[2], sys.argv[2:])
"""
# Where no standard file is free for it.
WHICH = ("exec 9>report; for n in 0 1 2; do [ -e /proc/$$/fd/$n ] && echo $n is open >&9; done; echo printed; "
         "/bin/echo printed; cat /proc/self/comm; exec 9>&-; exit 5")


def case_started_without_standard_files(runner):
    """Their numbers are not those of files of run's own, and are as free to the program as natively."""
    for closed in ("0", "1", "2", "01", "02", "12", "012"):
        every = [(), ("--hook", "trace:output=calls")]
        # What hooks say, too, has nowhere to go then.
        if "2" in closed:
            every += [("--hook", "trace"), ("--no-cache", "--hook", "count", "--hook", "trace:output=calls")]
        for options in every:
            outcome = same_around(runner, [PYTHON, "-c", CLOSED, closed], ["bash", "-c", WHICH], options=options,
                                  files=["report"])
            check(outcome.status == 5 and ("2" in closed or "2 is open" in outcome.stdout), f"{closed}: {outcome}")
            if "trace:output=calls" in options:
                with open(os.path.join(runner.folders[-1], "calls"), encoding="utf-8") as calls:
                    check("system calls of" not in calls.read(), f"{closed}: a table of calls in another file")
