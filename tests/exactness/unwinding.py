"""Exceptions and backtraces from a handler that has interrupted a call find the frames that they find unpatched.

programs/unwind.cc throws from handlers, prints each frame that the unwinder sees (which object, which address in it, and
where its function starts), and counts a profiler's signals whose backtrace does not reach main.
"""

from ways import FULL, HOOKS, Comparison

CXX = ["g++", "-O1", "-w", "-std=c++20", "-pthread", "-fnon-call-exceptions", "-fasynchronous-unwind-tables"]
SIGNALS = "20000" if FULL else "1000"


def main():
    comparison = Comparison()
    for name, options in (("static", ["-static"]), ("static-pie", ["-static-pie", "-fPIE"]), ("dynamic", [])):
        program = comparison.build("unwind.cc", name, compiler=[*CXX, *options])
        is_static = name != "dynamic"
        for way, arguments in (("throw", []), ("frames", []), ("profile", [SIGNALS])):
            is_first = name == "static"
            hooks = HOOKS if FULL or is_first and way == "frames" else ("none", "pass:entry:exit")
            comparison.everywhere(f"{name}, {way}", program, [way, *arguments], is_static, hooks,
                                  ("AD", "BD", "CD", "D") if FULL else ("BD", "D") if is_first else (),
                                  run_hooks=() if is_static else hooks)
    comparison.end()


main()
