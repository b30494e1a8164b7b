# For gdb: the frames of the process PID, as JSON.
import json
import os

import gdb


def frames(frame):
    out = []
    while frame is not None and len(out) < 30:
        out.append({"name": frame.name(), "at": hex(frame.pc())})
        frame = frame.older()
    return out


gdb.execute("set confirm off")
gdb.execute("file " + os.environ["PROGRAM"])
gdb.execute("attach " + os.environ["PID"])
with open(os.environ["OUT"], "w") as file:
    json.dump(frames(gdb.newest_frame()), file)
gdb.execute("detach")
