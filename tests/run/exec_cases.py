"""What a program executes, by whatever name, and whether that is followed."""
import os

from comparison import build, same


def program(name):
    """The source of one of the programs beside this file."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs", name + ".c")
    with open(path, encoding="utf-8") as file:
        return file.read()


def case_exec_by_descriptors_that_close(runner):
    """/proc/self/fd/3 leads nowhere once the descriptor is closed, as it is by exec."""
    for flags in ((), ("-static",)):
        same(runner, ["./own"], prepare=lambda f: build(f, "own", program("exec_by_name"), "-w", *flags),
             normalise=[(r"task/\d+", "task/@PID@")])
