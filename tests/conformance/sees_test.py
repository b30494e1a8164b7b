"""That the comparisons see what differs: each suite once more, with a call that fails patched alone."""

import os
import subprocess
import sys

from suites import FULL, Folder

HERE = os.path.dirname(os.path.abspath(__file__))
# suite, unit, what is denied, and a case that then differs
PLANTED = (
    ("python_suite.py", "test_fcntl", "deny EDEADLK fcntl", "test_lockf_exclusive"),
    ("stress_ng_suite.py", "eventfd", "deny ENOSYS eventfd2", "operations"),
)
# Here something has to be compiled, or fetched, first.
PLANTED_FULL = (
    ("go_suite.py", "syscall", "deny ENOSYS getdents64", "TestDirent"),
    ("kernel_suite.py", "core/close_range_test", "deny EINVAL close_range", "close_range_unshare"),
    ("perl_suite.py", "t/io/pipe.t", "deny EMFILE pipe, pipe2", "27"),
)


def main():
    failed = 0
    with Folder() as folder:
        os.chmod(folder, 0o755)
        for suite, unit, rule, case in PLANTED + (PLANTED_FULL if FULL else ()):
            policy = os.path.join(folder, "policy")
            with open(policy, "w", encoding="utf-8") as file:
                file.write(rule + "\n")
            done = subprocess.run([sys.executable, "-B", os.path.join(HERE, suite), unit], capture_output=True, text=True,
                                  env={**os.environ, "SYSREWRITE_TEST_HOOK": f"deny:policy={policy}"})
            lines = [line for line in done.stdout.splitlines() if line.startswith("DIFFERENT:") and case in line]
            good = done.returncode == 1 and lines
            print(f"ok: {rule}: {lines[0]}" if good else f"FAILED: {suite} {unit} with {rule}\n{done.stdout}{done.stderr}")
            failed += not good
    return 1 if failed else 0


sys.exit(main())
