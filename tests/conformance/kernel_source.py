"""The kernel's own tests of what programs see of it (tools/testing/selftests), from Debian's package of its source."""

import glob
import os
import shutil
import subprocess

ARCHIVES = "/usr/src/linux-source-*.tar.xz"
SELFTESTS = "tools/testing/selftests"
# The headers of the installed kernel's interface come first.
FLAGS = ("-O1", "-g", "-w", "-D_GNU_SOURCE", "-DCAN_BUILD_64")


def kernel_tree(cache):
    """The folder of the tests; unpacked by the first run, and kept."""
    tree = os.path.join(cache, "kernel-tests")
    if not os.path.exists(tree):
        found = sorted(glob.glob(ARCHIVES))
        if not found:
            raise SystemExit("FAILED: there is no source of the kernel; Debian's package linux-source-6.1 has it")
        work = tree + ".new"
        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(work)
        subprocess.run(["tar", "xf", found[-1], "-C", work, "--strip-components=1", "--no-same-owner", "--wildcards",
                        *(f"linux-source-*/{name}/*" for name in (SELFTESTS, "tools/include", "arch/x86/include/asm"))], check=True)
        os.rename(work, tree)
    return os.path.join(tree, SELFTESTS)


def build(tree, test, program, more):
    """Compiles the test FOLDER/NAME; `more` are further words for gcc, beside its sources."""
    folder = os.path.join(tree, os.path.dirname(test))
    top = os.path.relpath(tree, folder)
    command = ["gcc", *FLAGS, f"-I{top}", "-I.", f"-I{top}/../../..", "-idirafter", f"{top}/../../include", "-o", program,
               os.path.basename(test) + ".c", *more, "-lrt", "-lpthread", "-lm", "-ldl"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"FAILED: {test} does not compile:\n{done.stderr[:2000]}")
