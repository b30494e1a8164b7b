# For gdb: steps through the first stub of each of FUNCTIONS, and notes at each of its instructions
# what frames there are above.
import os
import sys

import gdb

sys.path.insert(0, os.path.dirname(__file__))
from stepping import callers, write_walks


# What the caller has in registers that a call keeps, as the unwind tables say.
def kept():
    caller = gdb.newest_frame().older()
    return [int(caller.read_register(name)) for name in ("rsp", "rbp", "rbx", "r12", "r15")]


def walk(function):
    name = function + ".syscall_1"
    start = int(gdb.parse_and_eval("(unsigned long)&'%s'" % name))
    gdb.execute("tbreak *%#x" % start)
    gdb.execute("continue")
    steps = []
    for _ in range(10000):
        pc = int(gdb.parse_and_eval("(unsigned long)$pc"))
        here = gdb.execute("info symbol %#x" % pc, to_string=True).split()[0]
        if here == name:
            steps.append({"at": hex(pc - start), "name": gdb.newest_frame().name(), "callers": callers(),
                          "kept": kept()})
        elif here == function and steps:
            break  # the jump back has been taken
        gdb.execute("stepi", to_string=True)
    return steps


write_walks(walk)
