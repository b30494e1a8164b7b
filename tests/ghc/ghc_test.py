#!/usr/bin/python3
"""Programs of GHC's, whose tables lie in the code: rewritten, no byte of data changes, and they run as before.
Usage: ghc_test.py SYSREWRITE SYSLOAD WORK-DIRECTORY [unittest arguments]
"""

import collections
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "readings"))

import haskell  # noqa: E402
from elf_view import ElfView  # noqa: E402

SYSREWRITE, SYSLOAD = (os.path.abspath(path) for path in sys.argv[1:3])
WORK = pathlib.Path(sys.argv[3]).absolute()
READINGS = TESTS / "readings" / "readings_test.py"
SPRINGBOARD = 5  # bytes
# Tables that GHC puts in front of code: functions, thunks, return points.
FUNCTION, RETURN_POINT = 8, 31


def run(*command, **keywords):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120, **keywords)


def inspected(path):
    done = run(SYSREWRITE, "inspect", "--json", path)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


def code_sections(path):
    """(offset, address, size) of each section of code, as binutils read them."""
    shown = run("readelf", "-SW", path).stdout
    rows = re.findall(r"\] (?:\S+) +PROGBITS +([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+) \S+ +AX ", shown)
    return [(int(offset, 16), int(address, 16), int(size, 16)) for address, offset, size in rows]


def calls_by_objdump(path):
    """Where objdump, which starts anew at each symbol, sees a `syscall`."""
    shown = run("objdump", "-d", "--no-show-raw-insn", path).stdout
    return {int(address, 16) for address in re.findall(r"^ *([0-9a-f]+):\t(?:\S+ )?syscall *$", shown, re.M)}


class Haskell(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        shutil.rmtree(WORK, ignore_errors=True)
        WORK.mkdir(parents=True)
        cls.programs = {name: haskell.build(name, WORK) for name in haskell.BUILDS}
        for name, path in list(cls.programs.items()):
            stripped = WORK / f"{name}.stripped"
            if run("strip", "-o", stripped, path).returncode != 0:
                raise AssertionError(f"strip of {path}")
            cls.programs[stripped.name] = stripped

    def output_of(self, *command):
        folder = WORK / "folder"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        arguments = [folder] if "everyday" in str(command[-1]) else []
        done = run(*command, *arguments)
        return done.stdout, done.stderr, done.returncode

    def rewritten(self, path, said, where):
        output = path.with_name(f"{path.name}.{where}")
        done = run(SYSREWRITE, "-q", f"--embed={where}", "--interp", SYSLOAD, path, output)
        if where == "segment" and path.name.startswith(haskell.WITHOUT_ROOM):
            self.assertEqual(done.returncode, 1)
            self.assertIn("--embed=segment does not fit this file: .rela.plt stands where", done.stderr)
            return None
        # 3: something was left alone, and is reported.
        self.assertEqual(done.returncode, 3 if said["candidates"]["uncertain"] else 0, done.stderr)
        verdict = run(SYSREWRITE, "verify", "-q", output, "--against", path)
        self.assertEqual((verdict.returncode, verdict.stderr), (0, ""))
        back = run(SYSREWRITE, "restore", "-q", output, WORK / "back")
        self.assertEqual((back.returncode, back.stderr), (0, ""))
        self.assertEqual((WORK / "back").read_bytes(), path.read_bytes())
        return output

    def check_bytes(self, path, output, said):
        """From the first section of code on, what differs lies in a window or a springboard."""
        allowed = set()
        for site in said["sites"]:
            window = site["window"]
            allowed.update(range(window["address"], window["address"] + window["size"]))
            if "springboard" in site:
                allowed.update(range(site["springboard"], site["springboard"] + SPRINGBOARD))
        before, after = path.read_bytes(), output.read_bytes()
        first = min(address for _, address, _ in code_sections(path))
        for segment in ElfView(path).segments:
            begin = segment.offset + max(0, first - segment.address)
            end = segment.offset + segment.size
            changed = {at + segment.address - segment.offset for at in range(begin, end) if before[at] != after[at]}
            self.assertLessEqual(changed, allowed)
            self.assertTrue(changed)

    def check_pairs(self, path, said):
        """Each pair is listed once, each site is a call to objdump too, and pairs that are none occur."""
        self.assertEqual([pair["address"] for pair in said["pairs"]], sorted(ElfView(path).pairs()))
        classes = collections.Counter(pair["class"] for pair in said["pairs"])
        self.assertLessEqual(set(classes), {"instruction", "inside", "data", "uncertain"})
        sites = {site["address"] for site in said["sites"]}
        self.assertEqual(len(sites), classes["instruction"])
        # Without symbols objdump loses step in the tables; a stripped file has the addresses of the other.
        named = self.programs[path.name.removesuffix(".stripped")]
        self.assertLessEqual(sites, calls_by_objdump(named))
        self.assertGreaterEqual(len(sites), 150 if "static" in path.name else 1)
        self.assertGreaterEqual(len(said["pairs"]) - len(sites), 18 if "tables" in path.name else 1)
        print(f"{path.name}: {len(sites)} sites of {len(said['pairs'])} pairs: {dict(classes)}")

    def test_they_run_as_before(self):
        for name, path in self.programs.items():
            with self.subTest(program=name):
                said = inspected(path)
                native = self.output_of(path)
                self.assertGreater(native[0].count("\n"), 7, native)
                self.check_pairs(path, said)
                for where in ("end", "segment"):
                    output = self.rewritten(path, said, where)
                    if output:
                        self.assertEqual(self.output_of(output), native)
                        self.check_bytes(path, output, said)
                if "static" in name:
                    continue  # as for others, but all of its calls are its own already
                text, counts, status = self.output_of(SYSREWRITE, "run", "--hook", "count", "--", path)
                self.assertEqual((text, status), (native[0], native[2]))
                for call in ("getpid", "mmap", "write"):
                    self.assertRegex(counts, rf"(?m) {call}$")

    def test_others_read_the_same(self):
        done = run("/usr/bin/python3", READINGS, SYSREWRITE, "--least", len(self.programs), *self.programs.values())
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_pairs_in_tables_are_no_calls(self):
        """Of what Tables.hs plants the places are known: C1295's and F1295's last word."""
        for name in ("tables-O0", "tables-O2", "tables-static"):
            symbols = run("nm", self.programs[name]).stdout
            for constructor in ("C1295", "F1295"):
                code = int(re.search(rf"^(\w+) . Main_{constructor}_con_info$", symbols, re.M)[1], 16)
                self.assertEqual(ElfView(self.programs[name]).bytes(code - 4, code), b"\x0f\x05\0\0")
                for path in (self.programs[name], self.programs[name + ".stripped"]):
                    found = {pair["address"]: pair["class"] for pair in inspected(path)["pairs"]}
                    self.assertEqual(found[code - 4], "uncertain")

    def test_distances_in_tables_are_no_calls(self):
        """The last word of a table is how far away its references are, so any program may hold the
        pair there: here all tables do, each a byte behind the word's first, which is a multiple of 8."""
        for name in ("everyday-O2", "everyday-static.stripped", "threads-O2.stripped", "tables-O0"):
            with self.subTest(program=name):
                path = self.programs[name]
                contents, planted = bytearray(path.read_bytes()), set()
                for offset, address, size in code_sections(path):
                    planted |= self.plant(contents, offset, address, size)
                self.assertGreater(len(planted), 1000)
                (WORK / "planted").write_bytes(contents)
                classes = collections.Counter()
                for pair in inspected(WORK / "planted")["pairs"]:
                    if pair["address"] in planted:
                        classes[pair["class"]] += 1
                print(f"{name}: {len(planted)} distances: {dict(classes)}")
                self.assertEqual(sum(classes.values()), len(planted))
                self.assertEqual(classes["instruction"], 0)

    @staticmethod
    def plant(contents, offset, address, size):
        places, low = set(), 0
        for at in range(offset + -address % 8, offset + size - 24, 8):
            layout, kind, distance = struct.unpack_from("<QII", contents, at)
            looks_so = FUNCTION <= kind <= RETURN_POINT and layout >> 32 < 64 and 0x1000 < distance < 1 << 26
            if not looks_so or (places and at + 13 - offset + address - max(places) < 64):
                continue
            contents[at + 12:at + 15] = bytes([low, 0x0F, 0x05])
            low = (low + 8) % 256
            places.add(at + 13 - offset + address)
        return places


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
