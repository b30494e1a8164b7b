# For gdb: the callers of each of FUNCTIONS at its first instruction and at all that follow up to
# its return, which must be the same ones throughout.
import os
import sys

import gdb

sys.path.insert(0, os.path.dirname(__file__))
from stepping import callers, write_walks


def walk(function):
    gdb.execute("tbreak *" + function)
    gdb.execute("continue")
    first = callers()
    while gdb.newest_frame().name() == function:
        if callers() != first:
            raise gdb.GdbError("the callers of %s change" % function)
        gdb.execute("stepi", to_string=True)
    return first


write_walks(walk)
