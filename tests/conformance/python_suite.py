"""python_suite.py [MODULE...]: Python's own regression tests, each case natively and under `sysrewrite run`.

All of them with the full counts, one file at a time; without, a few that are about processes and signals and take
seconds. Resources that tests ask for (the network, a display, gigabytes) are off, as they are by default.
"""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree

from suites import FULL, Comparison, Folder, execute, under_run

# Debian's: another one in $PATH may be built in another way.
PYTHON = "/usr/bin/python3"
SHORT = ("test_atexit", "test_fcntl", "test_pipes", "test_posixpath", "test_pty", "test_resource", "test_stat")
SECONDS = 900
# A guest's VSOCK tests wait for a host that does not answer, natively too.
WAITS = "*VSOCK*"
# "file: case" as a pattern of fnmatch, and why patched is not as natively.
EXPLAINED = {}


def cases(report):
    """What the report says of each case; a case of which there are several counts each time."""
    found = {}
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        what = "passed"
        for child in case:
            if child.tag in ("error", "failure", "skipped", "unexpectedSuccess", "expectedFailure"):
                # The reason may hold the name of a file, which holds a number of the process.
                what = child.tag + (": " + re.sub(r"\d+", "@", child.text or "") if child.tag == "skipped" else "")
        name, again = case.get("name"), 1
        while name in found:
            again += 1
            name = f"{case.get('name')} ({again})"
        found[name] = what
    return found


def run_file(module, is_patched):
    with Folder() as folder:
        report = os.path.join(folder, "report.xml")
        # With --timeout a test that hangs is named by its traceback.
        command = [PYTHON, "-m", "test", "-v", "--timeout", str(SECONDS - 60), "--junit-xml", report, "-i", WAITS, module]
        outcome = execute(under_run(command) if is_patched else command, folder, SECONDS)
        found = cases(report) if os.path.exists(report) and os.path.getsize(report) else {}
        found["(the file)"] = f"status {outcome.status}"
        return found, outcome.output


def main():
    comparison = Comparison("python", run_file, EXPLAINED)
    if len(sys.argv) > 1:
        comparison.all(sys.argv[1:], 1)
    elif not FULL:
        comparison.all(SHORT, 100)
    modules = subprocess.run([PYTHON, "-m", "test", "--list-tests"], check=True, capture_output=True, text=True).stdout
    comparison.all(modules.split(), 30000)


if __name__ == "__main__":
    main()
