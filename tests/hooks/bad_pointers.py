"""Paths that cannot be read are EFAULT under a hook that reads them, whatever the program does with signals.

usage: bad_pointers.py; in the environment SYSREWRITE.
"""
import os
import subprocess
import sys
import tempfile

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bad_pointers.c")


def main():
    with tempfile.TemporaryDirectory() as folder:
        program, scratch = folder + "/bad_pointers", folder + "/scratch"
        subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-o", program, SOURCE], check=True)
        native = subprocess.run([program, scratch], capture_output=True, text=True, check=False)
        if native.returncode or native.stdout.count(": 8 bad, 1 good, ") != 7:
            raise SystemExit(f"natively it does not do what it says: {native}")
        for hook in ("files:output=/dev/null", "sysroot:root=/usr"):
            hooked = subprocess.run([os.environ["SYSREWRITE"], "run", "--quiet", "--hook", hook, "--", program, scratch],
                                    capture_output=True, text=True, check=False)
            if (hooked.returncode, hooked.stdout) != (native.returncode, native.stdout):
                raise SystemExit(f"{hook}:\n{hooked}\nnatively:\n{native}")


if __name__ == "__main__":
    sys.exit(main())
