"""Plants the faults of mutants.toml, one at a time, in a copy of the source, and asks whether their tests see them.

  mutants.py --check SOURCE          whether the table fits the source and docs/testing.md
  mutants.py SOURCE WORK [ROW...]    the faults of these rows, or all; the copy is in WORK
"""

import ctypes
import filecmp
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(FOLDER))

from testing_rows import rows_of, text_of  # noqa: E402

# Whose rows all have one.
SECTIONS = "CDE"
PR_SET_CHILD_SUBREAPER = 36
BUILT_WITHOUT = ("SYSREWRITE_UNIT_TESTS", "SYSREWRITE_LONG_TESTS")


def write(texts):
    for path, text in texts.items():
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def mutants():
    return tomllib.loads(text_of(os.path.join(FOLDER, "mutants.toml")))["mutant"]


def run_by(mutant):
    return mutant.get("ctest", mutant["test"])


def planted(source, edits):
    """The texts of the files, by their paths, with the fault in them."""
    texts = {}
    for name, before, after in edits:
        path = os.path.join(source, name)
        text = texts.get(path) or text_of(path)
        if text.count(before) != 1:
            raise ValueError(f"{name}: {text.count(before)} times: {before.strip()}")
        texts[path] = text.replace(before, after)
    return texts


def check(source):
    """How the table does not fit, a line each."""
    rows = dict(rows_of(source))
    for mutant in mutants():
        name = f"{mutant['row']}, {mutant['what']}"
        try:
            planted(source, mutant["edits"])
        except (OSError, ValueError) as error:
            yield f"{name}: {error}"
        if f"`{mutant['test']}`" not in rows.get(mutant["row"], ""):
            yield f"{name}: docs/testing.md does not name {mutant['test']} there"
    for row in rows.keys() - {mutant["row"] for mutant in mutants()}:
        if row[0] in SECTIONS:
            yield f"{row}: no mutant"


# --- The copy ---------------------------------------------------------------------------------------------


def copy_of(source, work):
    """The tracked files; those that have not changed keep their times, for ninja."""
    listed = subprocess.run(["git", "-C", source, "ls-files", "-z"], capture_output=True, check=True).stdout
    for name in filter(None, os.fsdecode(listed).split("\0")):
        origin, copy = os.path.join(source, name), os.path.join(work, name)
        if not os.path.exists(origin):
            continue
        if os.path.exists(copy) and filecmp.cmp(origin, copy, shallow=False):
            continue
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        shutil.copy(origin, copy)


def build(work):
    made = subprocess.run(["cmake", "--build", "--preset", "release"], cwd=work, capture_output=True, text=True, check=False)
    return None if made.returncode == 0 else made.stdout[-1500:] + made.stderr[-500:]


# --- Tests ------------------------------------------------------------------------------------------------


def descendants():
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            parents[int(name)] = int(text_of(f"/proc/{name}/stat").rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            pass  # it has just ended
    found, last = set(), {os.getpid()}
    while last:
        last = {child for child, parent in parents.items() if parent in last} - found
        found |= last
    return found


def end_what_is_left():
    """What a test that went wrong has left behind would take time from the next ones."""
    while left := descendants():
        for process in left:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def outcome_of(work, test, seconds):
    """How it ends, and after how many seconds."""
    begin = time.monotonic()
    command = ["ctest", "--preset", "release", "-R", f"^{re.escape(test)}$", "--no-tests=error"]
    with open(os.devnull, "r+b") as nothing, \
            subprocess.Popen(command, cwd=work, stdin=nothing, stdout=nothing, stderr=nothing) as running:
        try:
            said = "passes" if running.wait(seconds) == 0 else "fails"
        except subprocess.TimeoutExpired:
            said = "hangs"
        end_what_is_left()
    return said, time.monotonic() - begin


def outcome_with(mutant, work, test, seconds):
    faulty = planted(work, mutant["edits"])
    sound = {path: text_of(path) for path in faulty}
    try:
        write(faulty)
        if wrong := build(work):
            return f"is not reached, since this does not compile:\n{wrong}\n", 0
        return outcome_of(work, test, seconds)
    finally:
        write(sound)


def main(source, work, rows):
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    chosen = [mutant for mutant in mutants() if not rows or mutant["row"] in rows]
    if not chosen:
        sys.exit(f"no mutant of {' '.join(rows)}")
    copy_of(source, work)
    subprocess.run(["cmake", "--preset", "release", *(f"-D{name}=OFF" for name in BUILT_WITHOUT)], cwd=work, check=True,
                   stdout=subprocess.DEVNULL)
    if wrong := build(work):
        sys.exit(wrong)
    # All of these first, while what is built is sound.
    natural = {test: outcome_of(work, test, None) for test in dict.fromkeys(map(run_by, chosen))}
    bad = []
    for mutant in chosen:
        test, name = run_by(mutant), f"{mutant['row']}, {mutant['what']}"
        said, seconds = natural[test]
        if said == "passes":
            said, seconds = outcome_with(mutant, work, test, 60 + 10 * seconds)
            is_seen = said in ("fails", "hangs")
        else:
            said, is_seen = f"{said} without a fault, too", False
        print(f"{'seen' if is_seen else 'NOT SEEN'}: {name}: {mutant['test']} {said}, after {seconds:.0f} seconds", flush=True)
        if not is_seen:
            bad.append(name)
    print(f"{len(chosen) - len(bad)} of {len(chosen)} faults are seen")
    sys.exit(1 if bad else 0)


if sys.argv[1] == "--check":
    wrong_lines = list(check(sys.argv[2]))
    print("\n".join(wrong_lines) or f"{len(mutants())} mutants")
    sys.exit(1 if wrong_lines else 0)
main(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3:])
