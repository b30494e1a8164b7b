"""The hook files over programs that are executed from a folder's descriptor, or by their own: they are where they are."""

import json
import os
import subprocess
import sys
import tempfile

SYSREWRITE, SYSLOAD = os.environ["SYSREWRITE"], os.environ["SYSLOAD"]

FROM = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
  char *words[] = {"x", 0};
  const int from = open(argv[1], O_PATH);
  if (argc > 3) unlink(argv[1]);
  syscall(SYS_execveat, from, argv[2], words, words + 1, AT_EMPTY_PATH);
  return argc;
}
"""


def main():
    failed = 0
    with tempfile.TemporaryDirectory(prefix="sysrewrite-execveat-") as folder:
        folder = os.path.realpath(folder)
        for name, text in (("from", FROM), ("below/program", "int main(void) { return 5; }")):
            program = os.path.join(folder, name)
            os.makedirs(os.path.dirname(program), exist_ok=True)
            subprocess.run(["gcc", "-O1", "-w", "-x", "c", "-o", program, "-"], input=text.encode(), check=True)
        os.symlink("program", os.path.join(folder, "below/link"))
        for words, expected in ((["below", "program"], "below/program"), (["below", "./../below/program"], "below/program"),
                                (["below/program", ""], "below/program"), (["below", "link"], "below/link"),
                                (["below/program", "", "removed"], "below/program")):
            done = subprocess.run([SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", "files:format=json:output=records",
                                   "--", "./from", *words], cwd=folder, timeout=120, check=False)
            with open(os.path.join(folder, "records"), encoding="utf-8") as file:
                records = [json.loads(line) for line in file]
            found = {r["path"] for r in records if r["kind"] == "execute" and r["path"].startswith(folder)}
            good = done.returncode == 5 and found == {os.path.join(folder, "from"), os.path.join(folder, expected)}
            print("ok:" if good else "FAILED:", " ".join(words), "" if good else (done, found))
            failed += not good
    sys.exit(1 if failed else 0)


main()
