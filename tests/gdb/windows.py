# For gdb: the callers of each of FUNCTIONS at its first instruction and at all that follow up to
# its return, which must be the same ones throughout.
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


def walk(function):
    gdb.execute("tbreak *" + function)
    gdb.execute("continue")
    first = callers()
    while gdb.newest_frame().name() == function:
        if callers() != first:
            raise gdb.GdbError("the callers of %s change" % function)
        gdb.execute("stepi", to_string=True)
    return first


gdb.execute("set confirm off")
gdb.execute("set pagination off")
gdb.execute("file " + os.environ["PROGRAM"])
gdb.execute("tbreak *main")
gdb.execute("run")
walked = {function: walk(function) for function in os.environ["FUNCTIONS"].split(",")}
with open(os.environ["OUT"], "w") as file:
    json.dump(walked, file)
gdb.execute("kill")
