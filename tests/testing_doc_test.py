"""docs/testing.md names, for each way to get this wrong, tests that are there."""
import json
import os
import re
import subprocess
import sys

from testing_rows import rows_of, text_of

SOURCE, BUILD = sys.argv[1:]


def sources(*endings):
    for folder, _, names in os.walk(os.path.join(SOURCE, "tests")):
        for name in names:
            if name.endswith(endings):
                yield os.path.join(folder, name)


def known():
    # One that needs ./dev test --full, or whose build was made without it, is looked for in the lists of tests.
    listed = subprocess.run(["ctest", "--test-dir", BUILD, "--show-only=json-v1"], capture_output=True, check=True, text=True)
    names = {test["name"] for test in json.loads(listed.stdout)["tests"]}
    for path in sources(".cc"):
        names |= {".".join(words) for words in re.findall(r"^TEST(?:_[FP])?\((\w+),\s*(\w+)\)", text_of(path), re.MULTILINE)}
    for path in sources(".py"):
        module = os.path.basename(path)[:-len(".py")]
        names |= {f"{module}.{case}" for case in re.findall(r"^ +def (test_\w+)\(", text_of(path), re.MULTILINE)}
    for path in sources("CMakeLists.txt"):
        names |= set(re.findall(r"^ *(?:add_test\(NAME|add_run_test\()\s*\"?([\w :,]+?)\"?\s", text_of(path), re.MULTILINE))
    return names


rows = rows_of(SOURCE)
names = known()
failed = 0
for row, tests in rows:
    named = re.findall(r"`([^`]+)`", tests)
    missing = [name for name in named if name not in names]
    if missing or not named:
        print(f"{row}: there is no {', '.join(missing) or 'test at all'}")
        failed = 1
print(f"{len(rows)} rows")
sys.exit(failed or len(rows) < 60)
