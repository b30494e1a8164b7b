"""Each case of run_programs.py has a test in CMakeLists.txt, which is given, and no test is of a case that is not there."""
import re
import sys

from run_programs import CASES

with open(sys.argv[1], encoding="utf-8") as file:
    added = re.findall(r"(?m)^ *add_run_test\(\"[^\"]*\"\s+(\w+)\)", file.read())
missing, unknown = sorted(set(CASES) - set(added)), sorted(set(added) - set(CASES))
twice = sorted(name for name in set(added) if added.count(name) > 1)
for what, names in (("without a test", missing), ("no case", unknown), ("added twice", twice)):
    if names:
        print(f"{what}: {' '.join(names)}")
sys.exit(bool(missing or unknown or twice))
