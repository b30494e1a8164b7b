"""Disassembly of many places of one file, in one run of a disassembler.

The places become sections of a small ELF file, each at its own address, without a symbol. So a
disassembler reads each straight on from its first byte, and is told nothing that we believe but
where to begin.
"""

import bisect
import collections
import re
import struct
import subprocess
import tempfile

READERS = {"objdump": ["/usr/bin/objdump", "-dzw"],
           "llvm-objdump": ["/usr/bin/llvm-objdump-14", "-dz", "--x86-asm-syntax=att"]}
SECTIONS_IN_A_FILE = 2000

Place = collections.namedtuple("Place", "address bytes")
# `text` is empty where the reader sees no instruction.
Row = collections.namedtuple("Row", "address size text")
PREFIX = re.compile(r"(?:(?:rex\S*|data16|addr32|repn?[ze]?|lock|[c-gs]s|notrack)\s+)+")


def carrier(places):
    """An ELF file of sections s0, s1, ..."""
    names, headers, body = b"\0.names\0", [], b""
    base = 64
    for index, place in enumerate(places):
        headers.append((len(names), 1, 6, place.address, base + len(body), len(place.bytes), 0, 0, 1, 0))
        names += b"s%d\0" % index
        body += place.bytes
    headers.append((1, 3, 0, 0, base + len(body), len(names), 0, 0, 1, 0))
    table = bytes(64) + b"".join(struct.pack("<IIQQQQIIQQ", *h) for h in headers)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 0, base + len(body) + len(names), 0,
                                 64, 56, 0, 64, len(headers) + 1, len(headers))
    return header + body + names + table


def read(reader, places):
    """For each place its rows, ascending."""
    all_rows = []
    for first in range(0, len(places), SECTIONS_IN_A_FILE):
        some = places[first:first + SECTIONS_IN_A_FILE]
        with tempfile.NamedTemporaryFile(suffix=".elf") as file:
            file.write(carrier(some))
            file.flush()
            text = subprocess.run([*READERS[reader], file.name], check=True, capture_output=True,
                                  text=True).stdout
        all_rows += parse(text, len(some))
    return all_rows


def parse(text, count):
    rows, current = [[] for _ in range(count)], None
    for line in text.splitlines():
        if line.startswith("Disassembly of section "):
            current = rows[int(line[24:-1])]
            continue
        head, tab, rest = line.partition("\t")
        address, colon, raw = head.partition(":")
        if not colon or not tab and not raw.strip():
            continue
        # objdump: "  401000:\t0f 05    \tsyscall", llvm: "  401000: 0f 05    \tsyscall"
        code, _, words = (rest.partition("\t") if not raw.strip() else (raw, "", rest))
        size = len(code.split())
        if size == 0 or current is None:
            continue
        words = words.strip()
        current.append(Row(int(address, 16), size, "" if is_bad(words) else words))
    return rows


def is_bad(words):
    return words == "" or "(bad)" in words or "<unknown>" in words or words.startswith(".byte")


def holding(rows, address):
    at = bisect.bisect_right(rows, address, key=lambda row: row.address)
    if at and address < rows[at - 1].address + rows[at - 1].size:
        return rows[at - 1]
    return None


def is_call(row, pair):
    words = PREFIX.sub("", row.text + " ").strip()
    return words.startswith("syscall") and row.address + row.size == pair + 2
