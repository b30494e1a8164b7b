# For gdb: steps through the first stub of each of FUNCTIONS, and notes at each of its instructions
# what frames there are above.
import json
import os

import gdb


def callers():
    out = []
    frame = gdb.newest_frame().older()
    while frame is not None and len(out) < 30:
        out.append({"name": frame.name(), "at": hex(frame.pc())})
        frame = frame.older()
    return out


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


gdb.execute("set confirm off")
gdb.execute("set pagination off")
gdb.execute("file " + os.environ["PROGRAM"])
gdb.execute("tbreak *main")
gdb.execute("run")
walked = {function: walk(function) for function in os.environ["FUNCTIONS"].split(",")}
with open(os.environ["OUT"], "w") as file:
    json.dump(walked, file)
gdb.execute("kill")
