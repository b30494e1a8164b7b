"""The differential machine must be able to fail: each sort of damage that it can do to what was
rewritten is found, shrunk to a few instructions, and shown with the command that shows it again.

usage: finds_faults.py DIFFERENTIAL
"""
import re
import subprocess
import sys

# The damage, and what must be seen to differ (a register, flags, memory, or where it ended).
FAULTS = {
    "displacement": "",
    "swap": "",
    "return": "",
    "rcx": r"rcx ",
    "entry": "",
    "flags": r"flags ",
    "redzone": r"stack\+0x",
    "vector": r"[yz]mm15 ",
    "rounding": r"mxcsr ",
}
# Where the processor has them.
WIDE_FAULTS = {"highvector": r"zmm31 ", "mask": r"k5 "}
MOST_INSTRUCTIONS = 6


def run(machine, *arguments):
    return subprocess.run([machine, *arguments], capture_output=True, text=True, timeout=300)


def check(machine, fault, differs):
    found = run(machine, "--count", "20000", "--jobs", "1", "--plant", fault)
    text = found.stdout
    assert found.returncode == 1, f"{fault}: status {found.returncode}, not 1\n{text}{found.stderr}"
    assert re.search(r"^FAIL: case \d+ of seed 1", text, re.M), f"{fault}: no case named\n{text}"
    assert re.search(rf"^  {differs}.*unpatched ", text, re.M), f"{fault}: {differs} agrees\n{text}"
    listing = re.search(r"ends the function\):\n(.*?)\n  tier ", text, re.S)
    assert listing, f"{fault}: no assembly\n{text}"
    size = len(listing.group(1).splitlines())
    assert size <= MOST_INSTRUCTIONS, f"{fault}: {size} instructions are left\n{text}"
    again = re.search(r"^Again: ./dev differential (.*)$", text, re.M)
    assert again, f"{fault}: no command that repeats it\n{text}"
    repeated = run(machine, "--jobs", "1", *again.group(1).split())
    assert repeated.returncode == 1, f"{fault}: {again.group(0)} finds nothing\n{repeated.stdout}"
    print(f"ok: {fault}, {size} instructions")


def main():
    machine = sys.argv[1]
    with open("/proc/cpuinfo", encoding="ascii") as file:
        flags = set(re.search(r"^flags\s*: (.*)$", file.read(), re.M)[1].split())
    wide = WIDE_FAULTS if {"avx512vl", "avx512bw"} <= flags else {}
    for fault, differs in {**FAULTS, **wide}.items():
        check(machine, fault, differs)
    if not wide:
        print(f"not on this processor: {', '.join(WIDE_FAULTS)}")
    whole = run(machine, "--count", "2000")
    assert whole.returncode == 0, f"without damage: {whole.stdout}"
    wrong = run(machine, "--plant", "nothing")
    assert wrong.returncode == 2 and "usage:" in wrong.stderr, wrong.stderr


if __name__ == "__main__":
    main()
